// The coefficient table of a fit, with the intervals drawn in its rows: a table and a forest plot at once.

import {breaking, h, replace, table} from "./dom.js";
import {heading, intervals} from "./intervals.js";
import {number, probability} from "./numbers.js";

const MOST = 60;

/** A table per target. */
export function coefficientTables(fit) {
  const targets = [...new Set(fit.coefficients.map((row) => row.target))];
  return targets.map((target) => {
    const rows = fit.coefficients.filter((row) => row.target === target);
    return coefficientTable(targets.length > 1 ? `Coefficients of ${target}` : "Coefficients", rows, targets.length === 1);
  });
}

function coefficientTable(caption, rows, hidden) {
  const inferred = rows.some((row) => row.std_error !== null);
  const place = h("div");
  const fill = (shown) => {
    const slopes = shown.filter((row) => row.term !== "intercept");
    const cells = new Map(slopes.map((row) => [row, [row]]));
    const drawing = intervals([...cells.values()]);
    const columns = [
      {name: "Term", class: "term"}, {name: "Estimate", class: "number"},
      inferred && {name: "Standard error", class: "number"},
      {name: heading(inferred ? "95 % interval" : "Estimate against zero", drawing.shared), class: "drawn"},
      inferred && {name: "t", class: "number"}, inferred && {name: "p", class: "number"},
    ].filter(Boolean);
    const body = shown.map((row) => [
      breaking(row.term), number(row.estimate, 5), inferred && number(row.std_error, 3),
      cells.has(row) ? drawing.cell(cells.get(row)) : intercept(row),
      inferred && number(row.t, 3), inferred && probability(row.p),
    ].filter((cell) => cell !== false));
    const whole = table(caption, columns, body, {hidden});
    if (drawing.shared && slopes.length) whole.querySelector("tbody").append(h("tr", {class: "axis", "aria-hidden": "true"},
      h("td", {colspan: inferred ? 3 : 2}), h("td", {class: "drawn"}, drawing.axis()), inferred && h("td", {colspan: 2})));
    replace(place, whole, shown.length < rows.length &&
      h("button", {onclick: () => fill(rows)}, `Show all ${rows.length} coefficients`));
  };
  fill(rows.slice(0, MOST));
  return place;
}

/** The intercept would stretch the scale of all others, so its interval is told in words. */
const intercept = ({lower, upper}) => h("span", {class: "quiet small"}, lower === null ? "" : `${number(lower)} to ${number(upper)}`);
