// What a version's descent needs from the service, and what to show where a part of it is missing.

import {curl, get, path} from "./api.js";
import {costOf, costOfRows, walk} from "./cost.js";
import {curlBox, h, notice, replace} from "./dom.js";
import {number} from "./numbers.js";
import {pictures} from "./pictures.js";

const LOSS = {mse: "mean squared error", sse: "sum of squared errors", l1: "mean absolute error", huber: "Huber loss"};
const RUIN = 60; // times the cost it began with: how far a run that diverges is followed
const PLAIN = ["sgd", "gradient_descent"];

/** Show the descent of a version by its document; returns the function that ends it. */
export async function showVersion(place, document) {
  const {model, version, history} = document;
  const where = ["models", model, "versions", version];
  const heading = h("h2", {}, "Version ", h("a", {href: `#${path(where)}`}, `${version} of ${model}`));
  const board = h("div");
  replace(place, heading, history && h("p", {}, outcome(document)), board, curlBox(curl("GET", path(where))));
  if (history) return pictures(board, await picturedBy(document, where));
  const advice = "Only gradient training has epochs. Train again with one of its solvers, and with history, to see its descent.";
  replace(board, notice({title: "This version has no history", detail: advice}));
  return () => {};
}

/** In a sentence: what the run found, and how far that is from the least squares line. */
function outcome({fit, history}) {
  const {weight, bias} = history.at(-1);
  const found = weight.length > 1 ? "" : `slope ${number(weight[0], 5)}${bias === null ? "" : `, intercept ${number(bias, 5)}`}, `;
  const gap = typeof fit.gap_to_exact === "number"
    ? ` Its predictions are ${number(fit.gap_to_exact, 3)} away from those of the best line (root mean square).` : "";
  return `After ${fit.epochs} epochs: ${found}loss ${number(fit.loss, 5)}.${gap}`;
}

/** What `pictures` needs of a version: its history, and where it is a line, its rows and its cost, or why there are none. */
async function picturedBy({schema, fit, history}, where) {
  const names = {feature: schema.features[0].name, target: schema.targets[0], loss: LOSS[fit.solver.loss]};
  const isLine = [schema.features, schema.terms, schema.targets].every(({length}) => length === 1) && schema.terms[0] === names.feature;
  if (!isLine) {
    const advice = "This model is not a line by one feature, so its loss is all that can be drawn.";
    return {history, names, isLine, missing: {rows: h("p", {class: "quiet"}, advice)}};
  }
  const [sample, squares] = await Promise.all(["sample", "cost"].map((what) => get(path([...where, what])).catch((problem) => problem)));
  const rows = sample.columns ? {x: sample.columns[names.feature], y: sample.targets[names.target]} : null;
  const {cost, without} = costFrom(fit, rows && sample.count === sample.n && !sample.weights ? rows : null, squares, history);
  const missing = {rows: !rows && absent("The data", sample), cost: !cost && absent("The cost", without)};
  return {history, names, rows, cost, missing};
}

/** The cost that the run walked down: {cost}, or {without: problem}. Only the squared losses are known without every row. */
function costFrom({solver, n}, rows, squares, history) {
  if (solver.loss === "mse" || solver.loss === "sse") {
    return squares.quadratic ? {cost: costOf(squares, solver.loss === "sse" ? n : 1)} : {without: squares};
  }
  if (rows) return {cost: costOfRows(rows.x, rows.y, {intercept: history[0].bias !== null, loss: solver.loss})};
  return {without: {detail: "The cost by this loss needs every row: train with a sample as large as the data, and without weights."}};
}

const absent = (what, problem) => notice({title: `${what} cannot be drawn`, detail: problem.detail});

/**
 * Show a run that diverged, of which the service publishes nothing: its advice, and the first steps of the same update as this page
 * computes them. `request` is what was asked, `run` that of textbook.js. Returns the function that ends it.
 */
export function showDivergence(place, problem, request, run) {
  const {name, loss = "mse", momentum, learning_rate: rate, epochs} = request.solver;
  const board = h("div");
  const advice = notice({title: "This run diverged: the learning rate is too large", errors: problem.errors, detail: problem.detail});
  replace(place, h("h2", {}, "Nothing was published"), advice, board);
  if (!PLAIN.includes(name) || momentum) return () => {};
  const cost = costOfRows(run.x, run.y, {intercept: request.intercept, loss});
  const steps = walk(cost, run.start, {rate, epochs, ruin: RUIN});
  if (steps.length < 2) return () => {};
  const count = steps.length === 2 ? "first step" : `way of the first ${steps.length - 1} steps`;
  const text = `Here is the ${count} of the same update, as this page computes it: each step overshoots, and the error grows.`;
  place.insertBefore(h("p", {}, text), board);
  return pictures(board, {history: steps, cost, rows: run, names: {feature: "x", target: "y", loss: LOSS[loss]}});
}
