// The pictures of a descent: the line at each epoch among the data, the path on the cost, and the loss; one epoch shown in all three.

import {axes, chart, contours, lines, points} from "./chart.js";
import {ellipse, levels, parametersOf} from "./cost.js";
import {h, replace} from "./dom.js";
import {extent, farther, number, spaced, wider} from "./numbers.js";
import {player} from "./player.js";

const NAMES = ["slope", "intercept"]; // of the parameters, from the last
const DENSITY = 1.3; // of the earlier lines and tangents drawn beside the current one
const ASPECT = 0.8;
const MOST_DOTS = 150; // of the steps on a path; more would run together
const FEW_DOTS = 12; // so many can be large
const MOST_STEPS = 2000; // of a path, as drawn
const LOG_FROM = 50; // a loss that falls by this factor is first shown on a logarithmic scale

/**
 * Draw a run into `place` and return the function that ends it.
 *
 * `history` is a version's, `isLine` whether it is of one slope; then `cost` is that of cost.js and `rows` {x, y}, null where there
 * are none. `names` is {feature, target, loss}; `missing` {rows, cost} are elements that stand in the place of a picture.
 */
export function pictures(place, {history, isLine = true, cost = null, rows = null, names, missing = {}}) {
  const [epochs, losses] = [history.map(({epoch}) => epoch), history.map(({loss}) => loss)];
  const run = {epochs, losses, cost, rows, names, last: history.length - 1, shown: 0};
  run.path = isLine ? history.map(parametersOf) : history.map(() => []);
  run.intercept = run.path[0].length > 1;
  const log = h("input", {type: "checkbox", checked: isSteep(losses), onchange: () => redraw()});
  run.isLog = () => log.checked;
  const data = rows && chart({
    title: "The data and the line", hint: "Orange: the chosen epoch. Grey: some of those before it.", aspect: ASPECT,
    label: `${names.target} by ${names.feature}, with the line of each epoch up to the chosen one`,
    draw: (plot) => drawData(plot, run), data: () => ({columns: [names.feature, names.target], rows: rows.x.map((x, i) => [x, rows.y[i]])}),
  });
  const way = cost && chart({
    title: run.intercept ? "The way down the error" : "The way down the error, with its tangents", aspect: ASPECT,
    hint: run.intercept
      ? `Along each grey line the error is the same${cost.matrix ? "; the grey dot is its minimum" : ""}.`
      : "Blue: the error of each slope. A step goes as far as its tangent is steep.",
    label: `${names.loss} by the parameters, with the steps up to the chosen epoch`,
    draw: (plot) => (run.intercept ? drawContours : drawParabola)(plot, run), data: () => listed(run),
  });
  const loss = chart({
    title: "The loss", label: `${names.loss} by epoch, with the chosen one marked`, height: 240,
    draw: (plot) => drawLoss(plot, run), data: () => listed(run),
  });
  const redraw = () => [data, way, loss].forEach((figure) => figure?.redraw());
  const controls = player({last: run.last, label: "Epoch", name: (state) => described(run, state), show: (state) => {
    run.shown = state;
    redraw();
  }});
  loss.addEventListener("click", (event) => event.target.closest(".canvas") && controls.step(run.stateAt(event) - run.shown));
  replace(place, h("div", {class: "descent", role: "group", "aria-label": "The steps of this run", tabindex: "0", onkeydown: controls.keys},
    controls.element,
    h("div", {class: "halves"}, data, missing.rows, way, missing.cost),
    loss, h("label", {class: "check"}, log, "logarithmic loss")));
  controls.go(run.last);
  return controls.stop;
}

const isSteep = (losses) => {
  const positive = losses.filter((loss) => loss > 0);
  return Math.max(...positive) > LOG_FROM * Math.min(...positive);
};

function described(run, state) {
  const values = run.path[state].toReversed().map((value, i) => `${NAMES[i]} ${number(value, 5)}`);
  return `Epoch ${run.epochs[state]} of ${run.epochs.at(-1)}: ${[...values, `loss ${number(run.losses[state], 6)}`].join(", ")}`;
}

function listed(run) {
  const rows = run.path.map((b, i) => [run.epochs[i], run.losses[i], ...b.toReversed()]);
  return {columns: ["epoch", "loss", ...NAMES.slice(0, run.path[0].length)], rows};
}

/** Few of the states 0 … `end`: the same whatever the end, dense where a run begins and moves most; `end` is the last. */
function few(end) {
  const chosen = [0];
  for (let state = 1; state < end; state = Math.ceil(state * DENSITY)) chosen.push(state);
  return end ? [...chosen, end] : chosen;
}

/** The states 0 … `end` as a path of a run shows them: all, or every so many of a long one, and `end`. */
function along(run, end) {
  const stride = Math.ceil((run.last + 1) / MOST_STEPS);
  const chosen = Array.from({length: Math.ceil(end / stride)}, (_, i) => i * stride);
  return [...chosen, end];
}

function drawData(plot, run) {
  const {x, y} = run.rows;
  const ends = wider(extent(x), 0.06);
  const at = (b) => ends.map((end) => b.at(-1) * end + (run.intercept ? b[0] : 0));
  const data = wider(extent(y), 0.12);
  const all = extent(data, few(run.last).flatMap((state) => at(run.path[state])));
  const fits = all[1] - all[0] < 4 * (data[1] - data[0]);
  axes(plot, {x: ends, y: fits ? wider(all, 0.03) : data, xLabel: run.names.feature, yLabel: run.names.target});
  for (const state of few(run.shown)) lines(plot, ends, at(run.path[state]), "quiet faint");
  points(plot, x, y, "accent", {radius: x.length > 300 ? 1.8 : 3.2});
  lines(plot, ends, at(run.path[run.shown]), "contrast current");
}

function drawParabola(plot, run) {
  const slopes = run.path.map(([w]) => w);
  const far = Math.max(...slopes.map((w) => Math.abs(w - (run.cost.minimum ?? slopes.slice(-1))[0]))) || 1;
  const middle = (run.cost.minimum ?? slopes.slice(-1))[0];
  const domain = [middle - 1.15 * far, middle + 1.15 * far];
  const curve = spaced(...domain, 160);
  const heights = curve.map((w) => run.cost.at([w]));
  const [low, high] = extent(heights);
  axes(plot, {x: domain, y: [low - 0.08 * (high - low), high], xLabel: `slope of ${run.names.feature}`, yLabel: run.names.loss});
  lines(plot, curve, heights, "accent");
  for (const state of few(run.shown)) {
    const [w] = run.path[state];
    const half = 0.16 * (domain[1] - domain[0]);
    const rise = run.cost.gradient([w])[0];
    const current = state === run.shown;
    const height = run.cost.at([w]);
    lines(plot, [w - half, w + half], [height - rise * half, height + rise * half], current ? "contrast current" : "quiet");
  }
  const walked = slopes.slice(0, run.shown + 1);
  points(plot, walked, walked.map((w) => run.cost.at([w])), "contrast", {radius: walked.length > FEW_DOTS ? 2.5 : 4.5});
}

function drawContours(plot, run) {
  const {cost} = run;
  const best = cost.minimum ?? run.path.at(-1);
  const axis = (i) => wider(extent(run.path.map((b) => b[i]), best[i]), 0.12);
  axes(plot, {x: axis(1), y: axis(0), xLabel: `slope of ${run.names.feature}`, yLabel: "intercept"});
  const highest = Math.max(...run.path.map(cost.at));
  if (cost.matrix) {
    for (const level of levels(highest, cost.lowest)) {
      const curve = ellipse(cost, level);
      lines(plot, curve.map(([, w]) => w), curve.map(([b]) => b), "quiet contour");
    }
    points(plot, [best[1]], [best[0]], "quiet", {radius: 5, title: () => "the minimum"});
  } else {
    contours(plot, (w, b) => cost.at([b, w]), levels(highest, 0));
  }
  const walked = along(run, run.shown).map((state) => run.path[state]);
  lines(plot, walked.map(([, w]) => w), walked.map(([b]) => b), "accent path");
  if (run.shown <= MOST_DOTS) points(plot, walked.map(([, w]) => w), walked.map(([b]) => b), "accent", {radius: 2});
  points(plot, [run.path[run.shown][1]], [run.path[run.shown][0]], "contrast", {radius: 5});
}

function drawLoss(plot, run) {
  const positive = run.losses.filter((loss) => loss > 0);
  const log = run.isLog() && positive.length > 0;
  const y = log ? farther(extent(positive)) : wider(extent(run.losses), 0.04);
  axes(plot, {x: [0, Math.max(run.epochs.at(-1), 1)], y, yLog: log, xWhole: true, xLabel: "epoch", yLabel: run.names.loss});
  const drawn = along(run, run.last);
  lines(plot, drawn.map((state) => run.epochs[state]), drawn.map((state) => run.losses[state]), "quiet");
  const walked = along(run, run.shown);
  lines(plot, walked.map((state) => run.epochs[state]), walked.map((state) => run.losses[state]), "accent");
  points(plot, [run.epochs[run.shown]], [run.losses[run.shown]], "contrast", {radius: 5});
  run.stateAt = (event) => {
    const box = plot.root.getBoundingClientRect();
    return Math.round(plot.x.invert(((event.clientX - box.left) * plot.width) / box.width));
  };
}
