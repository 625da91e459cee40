// What a prediction is made of: from the mean prediction, column by column, to the prediction, as bars in the rows of a table.

import {breaking, h, svg, table} from "./dom.js";
import {extent, number, wider} from "./numbers.js";

const MOST = 14;
const COLUMNS = () => [
  {name: "Part", class: "term"}, {name: "Adds", class: "number"}, {name: h("span", {class: "unseen"}, "as a bar"), class: "drawn"},
];

/** The table of the first row of an answer {predictions, baseline, contributions}; nothing where it has no contributions. */
export function waterfall({predictions: [prediction], baseline, contributions}, target) {
  if (!contributions) return null;
  const parts = gathered(Object.entries(contributions).map(([name, [value]]) => ({name, value})));
  let at = baseline;
  const steps = parts.map(({name, value}) => ({name, value, from: at, to: (at += value)}));
  const domain = wider(extent([baseline, prediction, ...steps.map((step) => step.to)]), 0.04);
  const rows = [
    ["mean of the rows learned", number(baseline, 5), bar(domain, baseline, null, "quiet")],
    ...steps.map(({name, value, from, to}) => [breaking(name), signed(value), bar(domain, from, to, value < 0 ? "contrast" : "accent")]),
    [h("strong", {}, target), h("strong", {}, number(prediction, 5)), bar(domain, prediction, null, "accent")],
  ];
  return h("div", {}, h("h3", {}, "What it is made of"),
    table(`What the prediction of ${target} is made of`, COLUMNS(), rows, {hidden: true}));
}

/** The largest parts in their order, and the sum of the rest. */
function gathered(parts) {
  if (parts.length <= MOST) return parts;
  const least = parts.map(({value}) => Math.abs(value)).sort((a, b) => b - a)[MOST - 2];
  const shown = parts.filter(({value}) => Math.abs(value) >= least).slice(0, MOST - 1);
  const rest = parts.filter((part) => !shown.includes(part));
  return [...shown, {name: `${rest.length} smaller parts`, value: rest.reduce((sum, {value}) => sum + value, 0)}];
}

const signed = (value) => `${value > 0 ? "+" : ""}${number(value)}`;

/** A bar from one value to another, or a tick at one value. */
function bar([low, high], from, to, kind) {
  const place = (value) => (100 * (value - low)) / (high - low);
  const [left, right] = to === null ? [place(from), place(from)] : [place(Math.min(from, to)), place(Math.max(from, to))];
  const marks = svg("svg", {class: "chart interval", height: 22, "aria-hidden": "true"});
  const tick = {x: `${left - 0.4}%`, width: "0.8%", y: 2, height: 18};
  const shape = to === null ? tick : {x: `${left}%`, width: `${Math.max(0.4, right - left)}%`, y: 5, height: 12};
  marks.append(svg("rect", {class: kind, rx: 2, ...shape}));
  return marks;
}
