// Estimates with their intervals, drawn in the rows of a table: all on one scale where that can be read, else each on its own.

import {h, svg} from "./dom.js";
import {extent, number, ticks, wider} from "./numbers.js";

const LEAST_SHARE = 0.12; // of the whole scale that an interval with its zero must span to be told from a dot
const EDGE = 3; // per cent left free at both ends

/**
 * What draws the cells of one column. `rows` are lists of {estimate, lower, upper, kind}, all drawn in the same cell; with `zero`
 * every scale reaches to zero, without it each row has its own, on which small differences show.
 * `.cell(row)` is the drawing of a row, `.shared` whether all have one scale, `.axis()` the drawing of that scale.
 */
export function intervals(rows, {zero = true} = {}) {
  const ends = rows.map((row) => extent(zero ? 0 : [], row.map(({estimate, lower, upper}) => [estimate, lower, upper].filter(known))));
  const whole = wider(extent(ends), 0.02);
  const span = whole[1] - whole[0];
  const shared = zero && ends.every(([low, high]) => high - low >= span * LEAST_SHARE || high === low);
  const cell = (row) => drawn(row, shared ? whole : wider(ends[rows.indexOf(row)], 0.02));
  return {shared, cell, axis: () => axis(whole)};
}

const known = (value) => typeof value === "number";
const place = (value, [low, high]) => `${(EDGE + ((100 - 2 * EDGE) * (value - low)) / (high - low)).toFixed(2)}%`;

function drawn(row, domain) {
  const size = 22;
  const marks = svg("svg", {class: "chart interval", height: size, role: "img", "aria-label": told(row)});
  const zero = place(0, domain);
  if (domain[0] <= 0 && domain[1] >= 0) marks.append(svg("line", {class: "zero", x1: zero, x2: zero, y1: 0, y2: size}));
  row.forEach(({estimate, lower, upper, kind = "accent"}, index) => {
    if (!known(estimate)) return;
    const y = (size * (index + 1)) / (row.length + 1);
    if (known(lower)) {
      marks.append(svg("line", {class: `range ${kind}`, x1: place(lower, domain), x2: place(upper, domain), y1: y, y2: y}));
    }
    marks.append(svg("circle", {class: kind, cx: place(estimate, domain), cy: y, r: 3.6}));
  });
  return marks;
}

const told = (row) => row.filter(({estimate}) => known(estimate)).map(({estimate, lower, upper}) =>
  `${number(estimate)}${known(lower) ? `, from ${number(lower)} to ${number(upper)}` : ""}`).join("; ") || "not known";

function axis(domain) {
  const marks = svg("svg", {class: "chart interval", height: 18, "aria-hidden": "true"});
  for (const value of ticks(...domain, 4)) {
    marks.append(svg("text", {x: place(value, domain), y: 13, "text-anchor": "middle"}, number(value)));
  }
  return marks;
}

/** What the column with the drawings is called. */
export const heading = (name, shared) => h("span", {}, name, !shared && h("span", {class: "unscaled"}, "each on its own scale"));
