// Lines of equal value of a function of two variables, by marching squares.

import {svg} from "./dom.js";
import {spaced} from "./numbers.js";

const CELLS = 72;
// By which corners lie above the level (1: lower left, 2: lower right, 4: upper right, 8: upper left), the edges that a line joins.
const [BOTTOM, RIGHT, TOP, LEFT] = [0, 1, 2, 3];
const JOINED = [
  [], [[LEFT, BOTTOM]], [[BOTTOM, RIGHT]], [[LEFT, RIGHT]], [[RIGHT, TOP]], [[LEFT, TOP], [BOTTOM, RIGHT]], [[BOTTOM, TOP]], [[LEFT, TOP]],
  [[TOP, LEFT]], [[TOP, BOTTOM]], [[TOP, RIGHT], [BOTTOM, LEFT]], [[TOP, RIGHT]], [[RIGHT, LEFT]], [[RIGHT, BOTTOM]], [[BOTTOM, LEFT]], [],
];

/** Lines where `value(x, y)` has each of `levels`, over the scales of the plot; the class `level-0`, `level-1` … tells them apart. */
export function contours(plot, value, levels, kind = "quiet") {
  const xs = spaced(...plot.x.domain, CELLS + 1);
  const ys = spaced(...plot.y.domain, CELLS + 1);
  const values = ys.map((y) => xs.map((x) => value(x, y)));
  const group = svg("g", {class: `contours ${kind}`});
  levels.forEach((level, index) => group.append(svg("path", {class: `line level-${index}`, d: traced(plot, xs, ys, values, level)})));
  return plot.add(group);
}

function traced(plot, xs, ys, values, level) {
  const steps = [];
  for (let row = 0; row < CELLS; row++) {
    for (let column = 0; column < CELLS; column++) {
      const corners = [values[row][column], values[row][column + 1], values[row + 1][column + 1], values[row + 1][column]];
      const which = corners.reduce((sum, corner, bit) => sum + (corner > level ? 1 << bit : 0), 0);
      const share = (from, to) => (level - corners[from]) / (corners[to] - corners[from]);
      const between = (list, index, part) => list[index] + (list[index + 1] - list[index]) * part;
      const edge = [
        () => [between(xs, column, share(0, 1)), ys[row]],
        () => [xs[column + 1], between(ys, row, share(1, 2))],
        () => [between(xs, column, share(3, 2)), ys[row + 1]],
        () => [xs[column], between(ys, row, share(0, 3))],
      ];
      for (const [from, to] of JOINED[which]) {
        const [[x1, y1], [x2, y2]] = [edge[from](), edge[to]()];
        steps.push(`M${plot.x(x1).toFixed(1)} ${plot.y(y1).toFixed(1)}L${plot.x(x2).toFixed(1)} ${plot.y(y2).toFixed(1)}`);
      }
    }
  }
  return steps.join("");
}
