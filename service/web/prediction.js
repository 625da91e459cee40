// A prediction to try: a field per feature, the answer with how sure it is, how it changes with one feature, and what it is made of.

import {curl, send} from "./api.js";
import {axes, band, chart, lines, points} from "./chart.js";
import {curlBox, h, newId, notice, replace} from "./dom.js";
import {extent, number, spaced, wider} from "./numbers.js";
import {ranges} from "./ranges.js";
import {waterfall} from "./waterfall.js";

const LEVEL = 0.95;
const STEPS = 60;

/** The panel of a version; `sample` is null where none was kept. */
export function predictionPanel(document, sample) {
  const place = h("section", {class: "prediction"}, h("h2", {}, "Try a prediction"), h("p", {class: "quiet"}, "Loading …"));
  ranges(document, sample).then(
    (found) => replace(place, h("h2", {}, "Try a prediction"), panel(document, found)),
    (error) => replace(place, h("h2", {}, "Try a prediction"), notice(error)));
  return place;
}

function panel(document, ranges) {
  const {model, version, schema, fit} = document;
  const values = Object.fromEntries(Object.entries(ranges).map(([name, range]) => [name, range.start]));
  const sure = fit.solver === "exact" && fit.dof > 0;
  const asked = {...(sure ? {interval: LEVEL} : {}), ...(fit.solver === "exact" ? {leverage: true} : {}), contributions: true};
  const moving = Object.keys(ranges).filter((name) => ranges[name].high > ranges[name].low);
  const state = {vary: moving[0] ?? null, target: 0, answer: null, xs: []};
  const answer = h("div", {class: "answer", "aria-live": "polite"});
  const errors = h("div");
  const parts = h("div");
  const body = () => ({model, version, instances: [values], ...asked});
  const box = curlBox(curl("POST", "/predict", {json: body()}));
  const picture = state.vary !== null && chart({
    label: `Prediction of ${schema.targets.join(", ")} over one feature`, height: 300, aspect: 0.55, draw: (plot) => state.answer && drawn(plot, state, values, schema),
  });
  const pick = (list, chosen, name, change) => {
    const id = newId("pick");
    const options = list.map(([value, text]) => h("option", {value, selected: value === chosen}, text));
    return h("div", {class: "row"}, h("label", {for: id}, name), h("select", {id, onchange: (event) => change(event.target.value)}, options));
  };
  const later = latest(async (current) => {
    try {
      const answered = await send("POST", "/predict", {json: request(body(), state, ranges)});
      if (!current()) return;
      state.answer = answered;
      replace(errors);
      replace(answer, sentence(state, schema, fit));
      replace(parts, waterfall(ofTarget(state.answer, state.target), schema.targets[state.target]));
      if (picture) picture.redraw();
    } catch (error) {
      if (current()) replace(errors, notice(error));
    }
  });
  const changed = () => {
    box.set(curl("POST", "/predict", {json: body()}));
    later();
  };
  changed();
  return h("div", {class: "trial"},
    h("div", {},
      h("div", {class: "fields"}, Object.keys(ranges).map((name) => field(name, ranges[name], values, changed))),
      box),
    h("div", {class: "outcome"},
      answer, errors,
      schema.targets.length > 1 &&
        pick(schema.targets.map((name, index) => [index, name]), 0, "Target", (value) => ((state.target = Number(value)), changed())),
      picture,
      moving.length > 1 && pick(moving.map((name) => [name, name]), state.vary, "Shown over", (value) => ((state.vary = value), changed()))),
    parts);
}

/** The row that is asked for, and behind it the rows of the line to draw. */
function request(body, state, ranges) {
  const {vary} = state;
  if (vary === null) return body;
  const [row] = body.instances;
  const {low, high} = ranges[vary];
  const reach = wider(extent([low, high, row[vary]]), 0.04);
  state.xs = spaced(...reach, STEPS);
  return {...body, instances: [row, ...state.xs.map((value) => ({...row, [vary]: value}))]};
}

/** The members of an answer of one target. */
function ofTarget(answer, target) {
  const one = (value) => (Array.isArray(value) ? value[target] : value);
  const columns = (list) => list?.map(one);
  return {
    predictions: columns(answer.predictions), lower: columns(answer.lower), upper: columns(answer.upper), baseline: one(answer.baseline),
    contributions: answer.contributions && Object.fromEntries(Object.entries(answer.contributions).map(([name, list]) => [name, columns(list)])),
  };
}

function drawn(plot, {answer, xs, vary, target}, values, schema) {
  const {predictions, lower, upper} = ofTarget(answer, target);
  const rest = (list) => list.slice(1);
  const seen = [...predictions, ...(lower ?? []), ...(upper ?? [])];
  axes(plot, {x: [xs[0], xs.at(-1)], y: wider(extent(seen), 0.04), xLabel: vary, yLabel: schema.targets[target]});
  if (lower) band(plot, xs, rest(lower), rest(upper));
  lines(plot, xs, rest(predictions));
  points(plot, [values[vary]], [predictions[0]], "contrast", {radius: 5.5});
}

function sentence({answer, target}, schema, fit) {
  const {predictions: [value], lower, upper} = ofTarget(answer, target);
  const spread = lower ? upper[0] - lower[0] : Math.abs(value);
  const digits = Math.min(12, Math.max(4, 3 + Math.ceil(Math.log10(Math.abs(value) / (spread || 1) + 1))));
  return [
    h("p", {class: "predicted"}, h("span", {class: "quiet"}, schema.targets[target]), " ", h("output", {}, number(value, digits))),
    lower && h("p", {}, `${100 * LEVEL} % of new rows like this one lie between ${number(lower[0], digits)} and ${number(upper[0], digits)}.`),
    !lower && h("p", {class: "quiet"}, fit.solver === "exact" ? "There are too few rows to say how sure this is." : "This solver does not tell how sure it is. Refit with the solver exact to know."),
    answer.leverage && trust(answer, fit),
  ];
}

function trust({leverage: [value], extrapolating: [far]}, fit) {
  const times = (value * fit.n) / (fit.n - fit.dof);
  if (far) return h("p", {class: "notice"}, `This row is far outside what was learned (leverage ${number(value, 2)}, ${number(times, 2)} times the mean): do not trust it far.`);
  return h("p", {class: "quiet"}, `This row is within what was learned (leverage ${number(value, 2)}, ${number(times, 2)} times the mean).`);
}

function field(name, range, values, changed) {
  const id = newId("feature");
  const title = h("label", {for: id}, name);
  if (range.choices) {
    const choices = range.choices.map((value) => h("option", {value: String(value)}, String(value)));
    const select = h("select", {id, onchange: () => ((values[name] = range.choices[select.selectedIndex]), changed())}, choices);
    return h("div", {class: "field"}, title, select);
  }
  const step = range.high > range.low ? stepOf(range) : "any";
  const typed = h("input", {id, type: "number", step: "any", value: range.start, oninput: () => {
    if (!Number.isFinite(typed.valueAsNumber)) return;
    values[name] = typed.valueAsNumber;
    if (slider) slider.value = typed.value;
    changed();
  }});
  const slider = range.high > range.low && h("input", {type: "range", min: range.low, max: range.high, step, value: range.start, "aria-label": `${name}, slider`, oninput: () => {
    typed.value = slider.value;
    values[name] = Number(slider.value);
    changed();
  }});
  return h("div", {class: "field"}, title, typed, slider);
}

/** A round step, some hundreds of which make the range. */
const stepOf = ({low, high}) => Number((10 ** Math.floor(Math.log10((high - low) / 100))).toPrecision(1));

/** A function that runs one call of `work` at a time and afterwards the last one that was asked for meanwhile. */
function latest(work) {
  let running = false;
  let again = false;
  return async function run() {
    if (running) return void (again = true);
    running = true;
    do {
      again = false;
      await work(() => !again);
    } while (again);
    running = false;
  };
}
