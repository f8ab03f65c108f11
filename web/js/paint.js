// Replays a display list (web/src/plot/list.rs) on a canvas. Nothing is decided here.

// By their place: colours of the style sheet.
const COLOURS = ["ink", "muted", "line", "accent", "good", "caution", "alarm", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8"];
const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const ALIGNS = ["left", "right", "center"];

let palette;

/** Reads the colours again, after the theme changed. */
export function repalette() {
  palette = undefined;
}

// A custom property keeps what it was given; a real one says what that is in the theme.
function readPalette() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const colours = COLOURS.map((name) => {
    probe.style.color = `var(--${name})`;
    return style.color;
  });
  probe.remove();
  return colours;
}

const sizes = new WeakMap();

// Whether it is another one than was noted before.
function noteSize(canvas) {
  const [width, height] = sizes.get(canvas) ?? [];
  const now = [canvas.clientWidth, canvas.clientHeight];
  sizes.set(canvas, now);
  return width !== now[0] || height !== now[1];
}

const resized = new ResizeObserver((changed) => {
  if (changed.filter(({ target }) => noteSize(target)).length) dispatchEvent(new Event("resize"));
});

/** A canvas's width (0) or height (1) in CSS pixels, without a layout; when it changes the window is told. */
export function pixels(canvas, axis) {
  if (!sizes.has(canvas)) {
    noteSize(canvas);
    resized.observe(canvas);
  }
  return sizes.get(canvas)[axis];
}

function trace(context, commands, at, points) {
  context.beginPath();
  let lifted = true;
  for (let end = at + 2 * points; at < end; at += 2) {
    const x = commands[at];
    // What is not a number lifts the pen.
    if (x !== x) lifted = true;
    else if (lifted) {
      context.moveTo(x, commands[at + 1]);
      lifted = false;
    } else context.lineTo(x, commands[at + 1]);
  }
}

function hatch(context, apart, x, y, width, height) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.beginPath();
  for (let from = x - height; from < x + width; from += apart) {
    context.moveTo(from, y + height);
    context.lineTo(from + height, y);
  }
  context.lineWidth = 1;
  context.stroke();
  context.restore();
}

function glyph(context, sign, x, y) {
  const corners = [[-3, -3, 3, -3, 3, 3, -3, 3], [-4, -4, 4, -4, 0, 4], [0, -5, 5, 0, 0, 5, -5, 0]][sign];
  context.beginPath();
  for (let place = 0; place < corners.length; place += 2) context.lineTo(x + corners[place], y + corners[place + 1]);
  context.closePath();
  context.fill();
}

/** Replays the commands. */
export function paint(canvas, commands, texts) {
  palette ??= readPalette();
  const context = canvas.getContext("2d");
  const lines = texts.split("\n");
  const ratio = devicePixelRatio || 1;
  const c = commands;
  for (let at = 0; at < c.length; ) {
    const command = c[at];
    if (command === 0) {
      const [width, height] = [Math.round(c[at + 1] * ratio), Math.round(c[at + 2] * ratio)];
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, c[at + 1], c[at + 2]);
      context.font = FONT;
      context.textBaseline = "middle";
      context.lineJoin = "bevel";
      at += 3;
      continue;
    }
    if (command === 6) {
      context.save();
      context.beginPath();
      context.rect(c[at + 1], c[at + 2], c[at + 3], c[at + 4]);
      context.clip();
      at += 5;
      continue;
    }
    if (command === 7) {
      context.restore();
      at += 1;
      continue;
    }
    const colour = palette[c[at + 1]];
    if (command === 1) {
      const points = c[at + 4];
      trace(context, c, at + 5, points);
      context.strokeStyle = colour;
      context.lineWidth = c[at + 2];
      if (c[at + 3]) context.setLineDash([5, 3]);
      context.stroke();
      if (c[at + 3]) context.setLineDash([]);
      at += 5 + 2 * points;
    } else if (command === 2) {
      const points = c[at + 3];
      trace(context, c, at + 4, points);
      context.fillStyle = colour;
      context.globalAlpha = c[at + 2];
      context.fill();
      context.globalAlpha = 1;
      at += 4 + 2 * points;
    } else if (command === 3) {
      context.fillStyle = colour;
      context.globalAlpha = c[at + 2];
      const end = at + 4 + 4 * c[at + 3];
      for (at += 4; at < end; at += 4) context.fillRect(c[at], c[at + 1], c[at + 2], c[at + 3]);
      context.globalAlpha = 1;
    } else if (command === 4) {
      context.fillStyle = colour;
      context.beginPath();
      context.arc(c[at + 2], c[at + 3], c[at + 4], 0, 7);
      context.fill();
      at += 5;
    } else if (command === 5) {
      context.fillStyle = colour;
      context.textAlign = ALIGNS[c[at + 2]];
      context.fillText(lines[c[at + 5]], c[at + 3], c[at + 4]);
      at += 6;
    } else if (command === 8) {
      context.strokeStyle = colour;
      hatch(context, c[at + 2], c[at + 3], c[at + 4], c[at + 5], c[at + 6]);
      at += 7;
    } else {
      context.fillStyle = colour;
      glyph(context, c[at + 2], c[at + 3], c[at + 4]);
      at += 5;
    }
  }
}

/** Saves a canvas with its title as a PNG file. */
export function save(canvas, title) {
  const ratio = devicePixelRatio || 1;
  const head = 28 * ratio;
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height + head];
  const context = copy.getContext("2d");
  const style = getComputedStyle(canvas.closest(".card") ?? document.body);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, copy.width, copy.height);
  context.fillStyle = style.color;
  context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.fillText(title, 10 * ratio, head / 2);
  context.drawImage(canvas, 0, head);
  copy.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${title.replace(/[^\w.-]+/g, "_").slice(0, 80)}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
