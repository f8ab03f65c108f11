// The same charts by uPlot and by the page's own code: `bench.run(who, ticks)` draws them tick by tick.
import uPlot from "uplot";
import uPlotStyle from "uplot-style";
import pageStyle from "page-style";
import { Charts, initSync } from "./tachograph_bench_plot.js";
import wasm from "./tachograph_bench_plot_bg.wasm";

const COLOURS = ["#2f62c9", "#b5530a", "#0b7a6f", "#8a3fb5", "#7a6a00", "#b0316f", "#35586e", "#4c7a1e"];

let shape;
let at = 1_767_225_600;
let seed = 1;
let values;
let own;
let canvases;
let columns;
let plots;
const grids = {};

// The same figures each time.
function chance() {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
}

function element(tag, parent) {
  const made = document.createElement(tag);
  parent.append(made);
  return made;
}

function grid(name, style) {
  element("style", document.head).textContent = style;
  grids[name] = element("div", document.body);
  grids[name].style.cssText = "display: grid; grid-template-columns: repeat(5, auto); gap: 12px";
  return grids[name];
}

function setUp(given) {
  shape = given;
  const { charts, lines, points, width, height } = shape;
  initSync({ module: wasm });
  values = Float64Array.from({ length: charts * lines }, () => 100 * chance());
  columns = Array.from({ length: charts }, () => Array.from({ length: lines + 1 }, () => new Float64Array(points)));
  const forOwn = grid("own", pageStyle);
  canvases = Array.from({ length: charts }, () => element("canvas", forOwn));
  for (const canvas of canvases) canvas.style.cssText = `width: ${width}px; height: ${height}px`;
  own = new Charts(canvases, lines, width, height);
  for (let tick = 0; tick < points; tick += 1) push();
  const forPeer = grid("uPlot", uPlotStyle);
  const line = (place) => ({ stroke: COLOURS[place], width: 1.6, points: { show: false } });
  const options = {
    width,
    height,
    legend: { show: false },
    cursor: { show: false },
    series: [{}, ...Array.from({ length: lines }, (_, place) => line(place))],
  };
  plots = columns.map((data) => new uPlot(options, data, element("div", forPeer)));
}

// A new value for each line, for both.
function push() {
  const { lines, points } = shape;
  at += 1;
  for (let place = 0; place < values.length; place += 1) {
    values[place] = Math.max(0, values[place] + 10 * (chance() - 0.5));
  }
  own.push(at * 1_000, values, points);
  columns.forEach((data, chart) => {
    data.forEach((column, line) => {
      column.copyWithin(0, 1);
      column[points - 1] = line === 0 ? at : values[chart * lines + line - 1];
    });
  });
}

const draw = {
  own: () => own.draw(),
  uPlot: () => plots.forEach((plot, chart) => plot.setData(columns[chart])),
};

const after = new MessageChannel();

// One tick: how long until all is drawn, and until the browser has rendered it, too.
const tick = (who) =>
  new Promise((done) => {
    push();
    requestAnimationFrame(() => {
      const begun = performance.now();
      draw[who]();
      // uPlot draws in a microtask.
      queueMicrotask(() => {
        const drawn = performance.now() - begun;
        after.port1.onmessage = () => done([drawn, performance.now() - begun]);
        after.port2.postMessage(0);
      });
    });
  });

async function run(who, ticks) {
  for (const [name, grid] of Object.entries(grids)) grid.style.display = name === who ? "grid" : "none";
  await tick(who);
  const times = [];
  for (let count = 0; count < ticks; count += 1) times.push(await tick(who));
  return times;
}

// The display lists alone.
function make(ticks) {
  const times = [];
  for (let count = 0; count < ticks; count += 1) {
    push();
    const begun = performance.now();
    own.make();
    times.push(performance.now() - begun);
  }
  return times;
}

globalThis.bench = { setUp, run, make };
