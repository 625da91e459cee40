// Two versions of a model side by side: every coefficient of both, drawn in the same row.

import {promote} from "../actions.js";
import {curl, get, path} from "../api.js";
import {breaking, curlBox, h, replace, table} from "../dom.js";
import {percent, statistic} from "../fit.js";
import {heading, intervals} from "../intervals.js";
import {number} from "../numbers.js";

export async function show(main, {model, from, to}) {
  const where = path(["models", model, "diff"], {from, to});
  const [diff, about] = await Promise.all([get(where), get(path(["models", model]))]);
  const live = about.aliases.live;
  const version = (name) => h("a", {href: `#${path(["models", model, "versions", name])}`}, `version ${name}`);
  replace(main,
    h("p", {class: "crumbs"}, h("a", {href: "#/"}, "Models"), " / ", h("a", {href: `#${path(["models", model])}`}, model)),
    h("div", {class: "row apart"},
      h("h1", {}, `${model}: version ${diff.from} and version ${diff.to}`),
      h("div", {class: "row"},
        h("a", {class: "button", href: `#${path(["models", model, "compare", diff.to, diff.from])}`}, "Swap"),
        diff.to !== live && h("button", {class: "primary", onclick: async () =>
          (await promote(model, diff.to, live)) && show(main, {model, from, to})}, `Make version ${diff.to} live`))),
    h("p", {class: "lead"},
      "From ", version(diff.from), h("span", {class: "dot contrast", "aria-hidden": "true"}),
      " to ", version(diff.to), h("span", {class: "dot accent", "aria-hidden": "true"}), live && ` · version ${live} is live`),
    h("dl", {class: "facts"},
      fact("rows", diff.n, (value) => number(value)), fact("variance explained", diff.r2, percent),
      fact("residual sd", diff.residual_std, (value) => statistic(value))),
    h("section", {}, h("h2", {}, "Coefficients"), coefficients(diff)),
    curlBox(curl("GET", where)));
}

const fact = (name, {from, to}, shown) => h("div", {}, h("dt", {}, name), h("dd", {}, `${shown(from)} → ${shown(to)}`));

function coefficients(diff) {
  const targets = [...new Set(diff.coefficients.map((row) => row.target))];
  return targets.map((target) => {
    const rows = diff.coefficients.filter((row) => row.target === target);
    const caption = targets.length > 1 ? `Coefficients of ${target}` : "Coefficients of both versions";
    const drawing = rows.map((row) => [
      {...interval(row.from, row.from_std_error), kind: "contrast"}, {...interval(row.to, row.to_std_error), kind: "accent"},
    ]);
    const marks = intervals(drawing, {zero: false});
    const errors = rows.some((row) => row.from_std_error !== null || row.to_std_error !== null);
    return table(caption, [
      {name: "Term", class: "term"}, {name: `Version ${diff.from}`, class: "number"}, {name: `Version ${diff.to}`, class: "number"},
      {name: "Change", class: "number"}, {name: "In standard errors", class: "number"},
      {name: heading(errors ? "Both, with two standard errors" : "Both", marks.shared), class: "drawn"},
    ], rows.map((row, index) => [
      breaking(row.term), number(row.from, 5), number(row.to, 5), number(row.change, 3), number(row.change_in_std_errors, 2),
      marks.cell(drawing[index]),
    ]), {hidden: targets.length === 1});
  });
}

/** An estimate with two standard errors to both sides. */
const interval = (estimate, error) =>
  error === null || estimate === null ? {estimate} : {estimate, lower: estimate - 2 * error, upper: estimate + 2 * error};
