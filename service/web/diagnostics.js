// What the rows of the sample say of the fit: fit, residuals, normal quantiles, leverages. Without a sample, how to get one.

import {send} from "./api.js";
import {axes, band, chart, lines, points} from "./chart.js";
import {h, newId, replace} from "./dom.js";
import {extent, normalQuantile, number, spaced, wider} from "./numbers.js";

const STEPS = 60;
const COOK = [0.5, 1];

/** The section of a version; `sample` is the answer of `…/sample`, or null. */
export function diagnostics(document, sample) {
  if (!sample) return h("section", {}, h("h2", {}, "How well it fits"), unkept());
  const targets = document.schema.targets;
  const place = h("div", {class: "halves charts"});
  const id = newId("target");
  const draw = (target) => replace(place, figures(document, sample, target));
  draw(targets[0]);
  const options = targets.map((target) => h("option", {value: target}, target));
  return h("section", {}, h("h2", {}, "How well it fits"),
    h("p", {class: "quiet"}, sample.count < sample.n ? `A sample of ${number(sample.count)} of the ${number(sample.n)} rows.` : `All ${number(sample.n)} rows.`),
    targets.length > 1 && h("p", {class: "row"}, h("label", {for: id}, "Target"), h("select", {id, onchange: (event) => draw(event.target.value)}, options)),
    place);
}

const unkept = () => h("div", {class: "advice"},
  h("p", {}, "To draw residuals, some rows are needed, and this version keeps none: rows are kept only when you ask for it."),
  h("p", {}, "Train with ", h("code", {}, '"sample": 1000'), " to keep a thousand of them, chosen by their digest; they are dropped with the version's memory."));

function figures(document, sample, target) {
  const [fitted, residual] = [sample.fitted[target], sample.residual[target]];
  const observed = sample.targets[target];
  const standardized = sample.standardized?.[target];
  const rows = (columns) => columns[0].map((_, index) => columns.map((column) => column[index]));
  const data = (...named) => () => ({columns: named.map(([name]) => name), rows: rows(named.map(([, values]) => values))});
  return [
    fitFigure(document, sample, target),
    chart({title: "Residuals", label: `Residuals of ${target} against fitted values`, data: data(["fitted", fitted], ["residual", residual]), draw: (plot) => {
      axes(plot, {x: wider(extent(fitted)), y: wider(extent(residual, [0])), xLabel: `fitted ${target}`, yLabel: "residual", zero: true});
      points(plot, fitted, residual);
    }}),
    quantileFigure(standardized ?? residual, standardized ? "standardized residual" : "residual", target),
    standardized && sample.leverage && leverageFigure(document.fit, sample.leverage, standardized, target, data),
    observed.length < 3 && h("p", {class: "quiet"}, "With so few rows these pictures say little."),
  ];
}

/** One numeric feature: the rows with the line and its interval. More: observed against fitted values. */
function fitFigure({model, version, schema, fit}, sample, target) {
  const observed = sample.targets[target];
  const [feature] = schema.features;
  if (schema.features.length > 1 || feature.type === "categorical") {
    const fitted = sample.fitted[target];
    return chart({title: "Observed and fitted", label: `Observed against fitted ${target}`, draw: (plot) => {
      const both = wider(extent(observed, fitted));
      axes(plot, {x: both, y: both, xLabel: `fitted ${target}`, yLabel: `observed ${target}`});
      lines(plot, both, both, "quiet");
      points(plot, fitted, observed);
    }, data: () => ({columns: ["fitted", "observed"], rows: fitted.map((value, index) => [value, observed[index]])})});
  }
  const x = sample.columns[feature.name];
  const xs = spaced(...wider(extent(x), 0.03), STEPS);
  const index = schema.targets.indexOf(target);
  let line = null;
  const figure = chart({title: "Fit", label: `${target} against ${feature.name} with the fitted line`, draw: (plot) => {
    const seen = line ? [line.predictions, line.lower ?? [], line.upper ?? []] : [];
    axes(plot, {x: [xs[0], xs.at(-1)], y: wider(extent(observed, ...seen)), xLabel: feature.name, yLabel: target});
    if (line?.lower) band(plot, xs, line.lower, line.upper);
    points(plot, x, observed, "quiet");
    if (line) lines(plot, xs, line.predictions);
  }, data: () => ({columns: [feature.name, target], rows: x.map((value, row) => [value, observed[row]])})});
  const sure = fit.solver === "exact" && fit.dof > 0 ? {interval: 0.95} : {};
  void send("POST", "/predict", {json: {model, version, columns: {[feature.name]: xs}, ...sure}}).then((answer) => {
    const one = (list) => list?.map((value) => (Array.isArray(value) ? value[index] : value));
    line = {predictions: one(answer.predictions), lower: one(answer.lower), upper: one(answer.upper)};
    figure.redraw();
  }, () => {}); // the rows are drawn without the line
  return figure;
}

function quantileFigure(values, name, target) {
  const sorted = [...values].filter(Number.isFinite).sort((a, b) => a - b);
  const normal = sorted.map((_, index) => normalQuantile((index + 0.5) / sorted.length));
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const slope = (at(0.75) - at(0.25)) / (2 * 0.6744898);
  const middle = (at(0.75) + at(0.25)) / 2;
  return chart({title: "Normal quantiles", label: `Normal quantile plot of the residuals of ${target}`, draw: (plot) => {
    const ends = wider(extent(normal));
    axes(plot, {x: ends, y: wider(extent(sorted)), xLabel: "normal quantile", yLabel: name});
    lines(plot, ends, ends.map((value) => middle + slope * value), "quiet");
    points(plot, normal, sorted);
  }, data: () => ({columns: ["normal quantile", name], rows: normal.map((value, index) => [value, sorted[index]])})});
}

/** Standardized residuals against leverages; on the dashed curves Cook's distance is 0.5 and 1. */
function leverageFigure(fit, leverage, standardized, target, data) {
  const size = fit.n - fit.dof;
  return chart({title: "Leverage (dashed: Cook’s distance 0.5 and 1)", label: `Standardized residuals of ${target} against leverage`, data: data(["leverage", leverage], ["standardized residual", standardized]), draw: (plot) => {
    const reach = wider(extent(leverage, [0]));
    axes(plot, {x: [0, reach[1]], y: wider(extent(standardized, [-2, 2])), xLabel: "leverage", yLabel: "standardized residual", zero: true});
    const hs = spaced(reach[1] / 200, Math.min(reach[1], 0.999), 120);
    for (const distance of COOK) {
      for (const sign of [-1, 1]) {
        lines(plot, hs, hs.map((h) => sign * Math.sqrt((distance * size * (1 - h)) / h)), "contrast").setAttribute("stroke-dasharray", "4 4");
      }
    }
    points(plot, leverage, standardized);
  }});
}
