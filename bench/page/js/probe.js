// Runs in the page before its own scripts: notes when what happens to a frame, how the page's memory grows,
// and tasks that take long.
(() => {
  const probe = { frames: [], longTasks: [], paintings: 0 };
  window.probe = probe;
  const now = () => performance.now();

  for (const name of ["instantiate", "instantiateStreaming"]) {
    const own = WebAssembly[name];
    WebAssembly[name] = async (...given) => {
      const made = await own.apply(WebAssembly, given);
      const held = Object.values((made.instance ?? made).exports);
      probe.memory = held.find((one) => one instanceof WebAssembly.Memory);
      return made;
    };
  }

  // Before the page reads a message.
  let received = 0;
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", () => (received = now()));
    }
  };

  // A painting that asks for another one has not done all yet.
  let begun = 0;
  let asked = false;
  const request = window.requestAnimationFrame;
  window.requestAnimationFrame = (paint) => {
    asked = true;
    return request.call(window, (time) => {
      [begun, asked] = [now(), false];
      paint(time);
    });
  };

  // A task of its own comes after the browser has laid out and painted, too.
  const afterwards = new MessageChannel();
  const painted = [];
  afterwards.port1.onmessage = () => {
    const frame = painted.shift();
    if (frame) probe.frames.push({ ...frame, rendered: now() });
  };

  let arrived;
  performance.mark = (name) => {
    const at = now();
    if (name === "arrived") arrived ??= { received, arrived: at };
    if (name !== "painted") return;
    const shown = document.getElementById("footer-facts")?.dataset ?? {};
    probe.paintings += 1;
    probe.held = Number(shown.held ?? 0);
    probe.seq = Number(shown.seq ?? 0);
    probe.isIdle = !asked;
    if (shown.seq) probe.first ??= at;
    if (probe.held >= (probe.wanted ?? 900) && !asked) probe.whole ??= at;
    if (arrived) {
      painted.push({ ...arrived, begun, painted: at });
      arrived = undefined;
      afterwards.port2.postMessage(0);
    }
  };

  const observer = new PerformanceObserver((list) => note(list.getEntries()));
  const note = (entries) => probe.longTasks.push(...entries.map((entry) => entry.duration));
  observer.observe({ type: "longtask" });
  probe.begin = () => {
    note(observer.takeRecords());
    [probe.frames, probe.longTasks] = [[], []];
  };
  probe.end = () => {
    note(observer.takeRecords());
    return { frames: probe.frames, longTasks: probe.longTasks };
  };
  // Charts that can be seen.
  probe.charts = () =>
    [...document.querySelectorAll("canvas.plot")].filter((canvas) => {
      const { top, bottom, width } = canvas.getBoundingClientRect();
      return width > 0 && bottom > 0 && top < innerHeight;
    }).length;
})();
