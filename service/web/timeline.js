// Versions with their lineage: the newest first, beside each the line that leads to the version that it was made of.

import {h, svg} from "./dom.js";
import {path} from "./api.js";
import {percent, solver, statistic} from "./fit.js";
import {moment, number} from "./numbers.js";

const STEP = 18; // pixels from one line to the next

/** A list of version documents, newest first; `actions(document)` are the buttons of each. */
export function timeline(documents, actions) {
  const rows = lanes(documents);
  const width = STEP * (1 + Math.max(...rows.map((row) => Math.max(row.lane, ...row.above, ...row.pass))));
  return h("ol", {class: "timeline"}, documents.map((document, index) =>
    h("li", {class: document.aliases.includes("live") && "is-live"}, rail(rows[index], width), entry(document, documents),
      buttons(actions(document)))));
}

const buttons = (given) => given && h("div", {class: "row"}, given);

/**
 * The course of the lines: for each version its lane, the lanes whose lines come to it from `above`, those that go on `below` it,
 * and those that `pass` it by.
 */
export function lanes(documents) {
  const awaited = []; // by lane, the version that its line leads down to
  return documents.map(({version, parent}) => {
    const above = awaited.flatMap((name, lane) => (name === version ? [lane] : []));
    const free = awaited.indexOf(null);
    const lane = above.length ? above[0] : free >= 0 ? free : awaited.length;
    const pass = awaited.flatMap((name, other) => (name !== null && name !== version ? [other] : []));
    for (const other of above) awaited[other] = null;
    awaited[lane] = parent;
    return {lane, above, pass, below: parent === null ? [] : [lane]};
  });
}

function rail({lane, above, pass, below}, width) {
  const x = (index) => index * STEP + STEP / 2;
  const shape = {class: "rail", viewBox: `0 0 ${width} 100`, preserveAspectRatio: "none", width, "aria-hidden": "true"};
  const line = (d) => svg("path", {d, "vector-effect": "non-scaling-stroke"});
  const node = h("span", {class: "node"});
  node.style.left = `${x(lane)}px`;
  const place = h("span", {class: "rail-place"});
  place.style.width = `${width}px`;
  place.append(svg("svg", shape,
    pass.map((other) => line(`M${x(other)} -1V101`)),
    above.map((other) => line(other === lane ? `M${x(lane)} -1V50` : `M${x(other)} -1V0C${x(other)} 40 ${x(lane)} 20 ${x(lane)} 50`)),
    below.map((other) => line(`M${x(other)} 50V101`))), node);
  return place;
}

function entry(document, documents) {
  const {model, version, operation, aliases, created, fit, description} = document;
  const parent = documents.find((other) => other.version === document.parent);
  return h("div", {class: "entry"},
    h("div", {class: "row"},
      h("a", {class: "strong", href: `#${path(["models", model, "versions", version])}`}, `Version ${version}`),
      h("span", {class: "chip"}, operation),
      aliases.map((alias) => h("span", {class: `chip ${alias === "live" ? "live" : ""}`}, alias))),
    description && h("p", {class: "clamp"}, description),
    h("p", {class: "quiet small"}, [
      moment(created),
      origin(document),
      `${number(fit.n)} rows${parent ? change(fit.n - parent.fit.n) : ""}`,
      `R² ${percent(fit.r2)}`,
      fit.residual_std !== null && `residual sd ${statistic(fit.residual_std)}`,
      solver(fit),
    ].filter(Boolean).join("\u00a0· ")));
}

const change = (rows) => (rows ? ` (${rows > 0 ? "+" : "−"}${number(Math.abs(rows))})` : "");

function origin({parent, merged}) {
  const others = (merged ?? []).map((other) => `${other.model}@${other.version}`);
  if (parent === null) return "";
  return others.length ? `from version ${parent} and ${others.join(", ")}` : `from version ${parent}`;
}
