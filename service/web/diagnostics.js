// What the rows of the sample say of the fit: fit, residuals, normal quantiles, leverages. Without a sample, how to get one.

import {send} from "./api.js";
import {axes, band, chart, lines, note, points} from "./chart.js";
import {h, newId, replace} from "./dom.js";
import {extent, normalQuantile, number, spaced, wider} from "./numbers.js";

const STEPS = 60;
const COOK = [0.5, 1];

/** The section of a version; `sample` is the answer of `…/sample`, or null. */
export function diagnostics(document, sample) {
  const title = h("h2", {}, "How well it fits");
  if (!sample) return h("section", {}, title, unkept());
  const {targets} = document.schema;
  const {count, n} = sample;
  const place = h("div", {class: "halves charts"});
  const draw = (target) => replace(place, figures(document, sample, target));
  draw(targets[0]);
  const id = newId("target");
  const select = h("select", {id, onchange: () => draw(targets[select.selectedIndex])}, targets.map((target) => h("option", {}, target)));
  return h("section", {}, title,
    h("p", {class: "quiet"}, count < n ? `A sample of ${number(count)} of the ${number(n)} rows.` : `All ${number(n)} rows.`),
    targets.length > 1 && h("p", {class: "row"}, h("label", {for: id}, "Target"), select),
    place);
}

const unkept = () => h("div", {class: "advice"},
  h("p", {}, "To draw residuals, some rows are needed, and this version has none: rows are kept only when you ask for it, ",
    "and only by the latest versions and those with an alias."),
  h("p", {}, "Train with ", h("code", {}, '"sample": 1000'), " to keep a thousand of them, chosen by their digest."));

function figures(document, sample, target) {
  const standardized = sample.standardized?.[target];
  return [
    fitFigure(document, sample, target),
    residualFigure(sample.fitted[target], sample.residual[target], target),
    quantileFigure(standardized ?? sample.residual[target], standardized ? "standardized residual" : "residual", target),
    standardized && sample.leverage && leverageFigure(document.fit, sample.leverage, standardized, target),
  ];
}

/** What stands behind a picture of points, for its table. */
const pairs = (xName, xs, yName, ys) => () => ({columns: [xName, yName], rows: xs.map((x, index) => [x, ys[index]])});

function residualFigure(fitted, residual, target) {
  const draw = (plot) => {
    axes(plot, {x: wider(extent(fitted)), y: wider(extent(residual, 0)), xLabel: `fitted ${target}`, yLabel: "residual", zero: true});
    points(plot, fitted, residual);
  };
  const label = `Residuals of ${target} against fitted values`;
  return chart({title: "Residuals", label, draw, data: pairs("fitted", fitted, "residual", residual)});
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
    }, data: pairs("fitted", fitted, "observed", observed)});
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
  }, data: pairs(feature.name, x, target, observed)});
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
  }, data: pairs("normal quantile", normal, name, sorted)});
}

/** Standardized residuals against leverages; on the dashed curves Cook's distance is 0.5 and 1. */
function leverageFigure(fit, leverage, standardized, target) {
  const size = fit.n - fit.dof;
  const [, most] = wider(extent(leverage, 0));
  const hs = spaced(most / 200, Math.min(most, 0.999), 120);
  const range = wider(extent(standardized, -2, 2));
  const curves = COOK.flatMap((distance) => [-1, 1].map((sign) =>
    ({distance, ys: hs.map((value) => sign * Math.sqrt((distance * size * (1 - value)) / value))})));
  const seen = curves.filter(({ys}) => ys.at(-1) > range[0] && ys.at(-1) < range[1]); // a curve comes nearest where leverage is largest
  const draw = (plot) => {
    axes(plot, {x: [0, most], y: range, xLabel: "leverage", yLabel: "standardized residual", zero: true});
    for (const {distance, ys} of seen) {
      lines(plot, hs, ys, "contrast").setAttribute("stroke-dasharray", "4 4");
      note(plot, hs.at(-1), ys.at(-1), number(distance));
    }
    points(plot, leverage, standardized);
  };
  return chart({
    title: seen.length ? "Leverage (dashed: Cook’s distance)" : "Leverage",
    label: `Standardized residuals of ${target} against leverage`, draw,
    data: pairs("leverage", leverage, "standardized residual", standardized),
  });
}
