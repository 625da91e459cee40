// Small charts in SVG: a frame that follows the width of its place, axes, and marks drawn on them.
//
//   chart({label: "Rent by area", draw: (plot) => {
//     axes(plot, {x: extent(xs), y: extent(ys), xLabel: "area", yLabel: "rent"});
//     points(plot, xs, ys);
//   }})
//
// Colours come from the style sheet: the classes `accent`, `contrast` and `quiet` mean the same in every chart.

import {h, newId, replace, svg, table} from "./dom.js";
import {number} from "./numbers.js";
import {logScale, scale} from "./scale.js";

export {contours} from "./contours.js";
export {logScale, scale} from "./scale.js";

const MARGIN = {top: 14, right: 14, bottom: 44, left: 58};
const LETTER = 6.6; // pixels of a character of a tick, about
const LOW = 230; // pixels that a chart is high at least
const MOST_LISTED = 200;

/**
 * A chart as a figure. `draw(plot)` is called at first and whenever the width changes; `.redraw()` calls it again.
 * `label` is its text alternative; `title` is shown above it, and under that the `hint` how to read it; `aspect` is height over width,
 * at most `height` pixels; `data()` gives {columns, rows} for a table behind a disclosure.
 */
export function chart({label, title, hint, draw, aspect = 0.62, height = 340, margin = {}, data}) {
  const name = newId("chart");
  const drawing = svg("svg", {role: "img", "aria-labelledby": name, class: "chart"});
  const place = h("div", {class: "canvas"}, drawing);
  const head = [title && h("figcaption", {}, title), hint && h("p", {class: "quiet small hint"}, hint)];
  const figure = h("figure", {}, head, place, data && listed(label, data));
  let width = 0;
  figure.redraw = () => {
    if (!width) return;
    const tall = Math.round(Math.max(LOW, Math.min(width * aspect, height)));
    drawing.setAttribute("viewBox", `0 0 ${width} ${tall}`);
    replace(drawing, svg("title", {id: name}, label));
    draw(new Plot(drawing, width, tall, {...MARGIN, ...margin}));
  };
  new ResizeObserver(([entry]) => {
    const found = Math.round(entry.contentRect.width);
    if (found && found !== width) {
      width = found;
      figure.redraw();
    }
  }).observe(place);
  return figure;
}

/** Where to draw: pixels of the whole and of the inner area; `x` and `y` are the scales that `axes` has set. */
class Plot {
  constructor(root, width, height, margin) {
    Object.assign(this, {root, width, height, margin});
    this.inner = {left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom};
    this.x = scale([0, 1], [this.inner.left, this.inner.right]);
    this.y = scale([0, 1], [this.inner.bottom, this.inner.top]);
  }

  /** Put marks on the drawing, cut off at the inner area. */
  add(...marks) {
    if (!this.layer) {
      const {left, right, top, bottom} = this.inner;
      const id = newId("clip");
      const area = {x: left - 5, y: top - 5, width: Math.max(0, right - left + 10), height: Math.max(0, bottom - top + 10)};
      this.root.append(svg("clipPath", {id}, svg("rect", area)));
      this.layer = svg("g", {"clip-path": `url(#${id})`});
      this.root.append(this.layer);
    }
    this.layer.append(...marks);
    return marks[0];
  }
}

function listed(label, data) {
  const place = h("div");
  const shown = () => {
    const {columns, rows} = data();
    const cells = rows.slice(0, MOST_LISTED).map((row) => row.map((cell) => (typeof cell === "number" ? number(cell, 6) : cell)));
    const caption = rows.length > MOST_LISTED ? `${label}: the first ${MOST_LISTED} of ${rows.length} rows` : label;
    replace(place, table(caption, columns.map((column) => ({name: column, class: "number"})), cells));
  };
  return h("details", {class: "data", ontoggle: (event) => event.target.open && shown()}, h("summary", {}, "Show the numbers"), place);
}

/**
 * Axes over the extents `x` and `y`, with labels; sets `plot.x` and `plot.y`, and answers the plot.
 * `xLog` and `yLog` make a scale logarithmic; `xWhole` marks whole numbers only; `zero` marks the line y = 0.
 */
export function axes(plot, {x, y, xLabel = "", yLabel = "", xLog = false, yLog = false, xWhole = false, zero = false}) {
  plot.y = (yLog ? logScale : scale)(y, [plot.inner.bottom, plot.inner.top]);
  const across = plot.y.ticks(Math.max(2, Math.round((plot.inner.bottom - plot.inner.top) / 45)));
  const widest = Math.max(...across.map((value) => plot.y.format(value).length));
  plot.inner.left = Math.max(30, widest * LETTER + (yLabel ? 30 : 12));
  plot.x = (xLog ? logScale : scale)(x, [plot.inner.left, plot.inner.right]);
  const {left, right, top, bottom} = plot.inner;
  const upward = plot.x.ticks(Math.max(2, Math.round((right - left) / 75))).filter((value) => !xWhole || Number.isInteger(value));
  const marks = svg("g", {class: "axes"});
  for (const value of across) {
    marks.append(svg("line", {class: "grid", x1: left, x2: right, y1: plot.y(value), y2: plot.y(value)}));
    marks.append(svg("text", {x: left - 7, y: plot.y(value) + 4, "text-anchor": "end"}, plot.y.format(value)));
  }
  for (const value of upward) {
    marks.append(svg("line", {x1: plot.x(value), x2: plot.x(value), y1: bottom, y2: bottom + 4}));
    marks.append(svg("text", {x: plot.x(value), y: bottom + 18, "text-anchor": "middle"}, plot.x.format(value)));
  }
  marks.append(svg("line", {x1: left, x2: right, y1: bottom, y2: bottom}));
  if (zero && y[0] < 0 && y[1] > 0) marks.append(svg("line", {class: "zero", x1: left, x2: right, y1: plot.y(0), y2: plot.y(0)}));
  const [middle, centre] = [(left + right) / 2, (top + bottom) / 2];
  if (xLabel) marks.append(label({x: middle, y: bottom + 37, "text-anchor": "middle"}, xLabel, right - left));
  if (yLabel) marks.append(label({transform: `translate(12 ${centre}) rotate(-90)`, "text-anchor": "middle"}, yLabel, bottom - top));
  plot.root.append(marks);
  return plot;
}

/** A label cut to the pixels it has; the whole is its tooltip. */
function label(properties, text, pixels) {
  const most = Math.max(8, Math.floor(pixels / 7));
  const shown = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  return svg("text", {class: "label", ...properties}, shown, shown !== text && svg("title", {}, text));
}

/** A line through (xs, ys); where a value is not finite there is a gap. */
export function lines(plot, xs, ys, kind = "accent") {
  let open = false;
  const steps = xs.map((value, index) => {
    const [px, py] = [plot.x(value), plot.y(ys[index])];
    if (!Number.isFinite(px) || !Number.isFinite(py)) return (open = false) || "";
    const step = `${open ? "L" : "M"}${px.toFixed(2)} ${py.toFixed(2)}`;
    open = true;
    return step;
  });
  return plot.add(svg("path", {class: `line ${kind}`, d: steps.join("")}));
}

/** Dots at (xs, ys); `title(index)` is the tooltip of each. */
export function points(plot, xs, ys, kind = "accent", {radius = xs.length > 150 ? 2.5 : 3.2, title} = {}) {
  const group = svg("g", {class: `points ${kind}`});
  xs.forEach((value, index) => {
    const [px, py] = [plot.x(value), plot.y(ys[index])];
    if (!Number.isFinite(px) || !Number.isFinite(py)) return;
    group.append(svg("circle", {cx: px.toFixed(2), cy: py.toFixed(2), r: radius}, title && svg("title", {}, title(index))));
  });
  return plot.add(group);
}

/** A word at the right end of a line, above it. */
export const note = (plot, x, y, text) => plot.add(svg("text", {x: plot.x(x) - 2, y: plot.y(y) - 5, "text-anchor": "end"}, text));

/** The area between `lows` and `highs` over xs. */
export function band(plot, xs, lows, highs, kind = "accent") {
  const edge = (values) => xs.map((value, index) => `${plot.x(value).toFixed(2)} ${plot.y(values[index]).toFixed(2)}`);
  return plot.add(svg("path", {class: `band ${kind}`, d: `M${[...edge(highs), ...edge(lows).reverse()].join("L")}Z`}));
}

/** Horizontal bars from `starts` to `ends`, the first at the top; the y scale counts bars from 0. */
export function bars(plot, starts, ends, kinds) {
  const group = svg("g", {class: "bars"});
  const size = Math.abs(plot.y(1) - plot.y(0));
  starts.forEach((start, index) => {
    const [from, to] = [plot.x(start), plot.x(ends[index])];
    const shape = {x: Math.min(from, to), width: Math.max(1, Math.abs(to - from)), y: plot.y(index) - size * 0.32, height: size * 0.64};
    group.append(svg("rect", {class: kinds[index], rx: 2, ...shape}));
  });
  return plot.add(group);
}
