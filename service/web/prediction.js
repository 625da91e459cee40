// A prediction to try: a field per feature, the answer with how sure it is, how it changes with one feature, and what it is made of.

import {curl, send} from "./api.js";
import {axes, band, chart, lines, points} from "./chart.js";
import {curlBox, h, newId, notice, replace} from "./dom.js";
import {featureFields} from "./feature_fields.js";
import {extent, number, spaced, wider} from "./numbers.js";
import {ranges} from "./ranges.js";
import {waterfall} from "./waterfall.js";

const LEVEL = 0.95;
const STEPS = 60;
const UNSURE = "This solver does not tell how sure it is. Refit with the solver exact to know.";
const FEW = "There are too few rows to say how sure this is.";

/** The panel of a version; `sample` is null where none was kept. */
export function predictionPanel(document, sample) {
  const place = h("section", {class: "prediction"});
  const fill = (...children) => replace(place, h("h2", {}, "Try a prediction"), children);
  fill(h("p", {class: "quiet"}, "Loading …"));
  ranges(document, sample).then((found) => fill(panel(document, found)), (error) => fill(notice(error)));
  return place;
}

function panel(document, ranges) {
  const {targets} = document.schema;
  const moving = Object.keys(ranges).filter((name) => ranges[name].high > ranges[name].low);
  const trial = new Trial(document, ranges, moving[0] ?? null);
  const [answer, parts] = [h("div", {class: "answer", "aria-live": "polite"}), h("div")];
  const box = curlBox("");
  const picture = moving.length > 0 && chart({
    label: `Prediction of ${targets.join(", ")} over one feature`, height: 300, aspect: 0.55, draw: (plot) => trial.draw(plot),
  });
  const update = latest(async (current) => {
    box.set(curl("POST", "/predict", {json: trial.request()}));
    try {
      await trial.ask();
    } catch (error) {
      if (current()) replace(answer, notice(error));
      return;
    }
    if (!current()) return;
    replace(answer, trial.sentences());
    replace(parts, waterfall(trial.answered(), targets[trial.target]));
    if (picture) picture.redraw();
  });
  const pick = (text, options, change) => {
    const id = newId("pick");
    const chosen = () => (change(select.selectedIndex), update());
    const select = h("select", {id, onchange: chosen}, options.map((option) => h("option", {}, option)));
    return options.length > 1 && h("div", {class: "row"}, h("label", {for: id}, text), select);
  };
  update();
  return h("div", {class: "trial"},
    h("div", {}, featureFields(ranges, trial.row, update), box),
    h("div", {class: "outcome"},
      answer, pick("Target", targets, (index) => (trial.target = index)),
      picture, pick("Shown over", moving, (index) => (trial.vary = moving[index]))),
    parts);
}

/** A row, what is asked of it, and what was answered. */
class Trial {
  /** `vary` is the feature over which the prediction is drawn; null where there is no number with a range. */
  constructor(document, ranges, vary) {
    const {fit} = document;
    Object.assign(this, {document, ranges, vary, target: 0, answer: null, xs: []});
    this.row = Object.fromEntries(Object.entries(ranges).map(([name, range]) => [name, range.start]));
    const exact = fit.solver === "exact";
    this.unsure = exact ? (fit.dof > 0 ? "" : FEW) : UNSURE;
    this.asked = {...(this.unsure ? {} : {interval: LEVEL}), ...(exact ? {leverage: true} : {}), contributions: true};
  }

  /** The request of the row. */
  request() {
    const {model, version} = this.document;
    return {model, version, instances: [this.row], ...this.asked};
  }

  /** Ask for the row, and behind it for the rows of the line to draw. What the version cannot tell any more is not asked again. */
  async ask() {
    const request = this.request();
    if (this.vary !== null) {
      const {low, high} = this.ranges[this.vary];
      this.xs = spaced(...wider(extent(low, high, this.row[this.vary]), 0.04), STEPS);
      request.instances = [{...this.row}, ...this.xs.map((value) => ({...this.row, [this.vary]: value}))];
    }
    try {
      this.answer = await send("POST", "/predict", {json: request});
      this.at = request.instances[0];
    } catch (error) {
      const refused = Object.keys(error.errors ?? {}).filter((name) => name in this.asked);
      if (!refused.length) throw error;
      this.unsure = `How sure this is cannot be told: ${error.errors[refused[0]].join("; ")}.`;
      for (const name of refused) delete this.asked[name];
      await this.ask();
    }
  }

  /** The members of the answer, of the target that is shown. */
  answered() {
    const one = (value) => (Array.isArray(value) ? value[this.target] : value);
    const columns = (list) => list?.map(one);
    const {predictions, lower, upper, baseline, contributions} = this.answer;
    return {
      predictions: columns(predictions), lower: columns(lower), upper: columns(upper), baseline: one(baseline),
      contributions: contributions && Object.fromEntries(Object.entries(contributions).map(([name, list]) => [name, columns(list)])),
    };
  }

  draw(plot) {
    if (!this.answer) return;
    const {predictions, lower, upper} = this.answered();
    const yLabel = this.document.schema.targets[this.target];
    const y = wider(extent(predictions, lower ?? [], upper ?? []), 0.04);
    axes(plot, {x: [this.xs[0], this.xs.at(-1)], y, xLabel: this.vary, yLabel});
    if (lower) band(plot, this.xs, lower.slice(1), upper.slice(1));
    lines(plot, this.xs, predictions.slice(1));
    points(plot, [this.at[this.vary]], [predictions[0]], "contrast", {radius: 5.5});
  }

  /** What the answer says, in words. */
  sentences() {
    const {predictions: [value], lower, upper} = this.answered();
    const spread = (lower ? upper[0] - lower[0] : 0) || Math.abs(value) || 1;
    const digits = Math.min(12, Math.max(4, 3 + Math.ceil(Math.log10(Math.abs(value) / spread + 1))));
    const within = lower && `between ${number(lower[0], digits)} and ${number(upper[0], digits)}`;
    return [
      h("p", {class: "predicted"},
        h("span", {class: "quiet"}, this.document.schema.targets[this.target]), " ", h("output", {}, number(value, digits))),
      lower ? h("p", {}, `${100 * LEVEL} % of new rows like this one lie ${within}.`) : h("p", {class: "quiet"}, this.unsure),
      this.answer.leverage && this.trust(),
    ];
  }

  trust() {
    const {fit} = this.document;
    const {leverage: [leverage], extrapolating: [far]} = this.answer;
    const size = `leverage ${number(leverage, 2)}, ${number((leverage * fit.n) / (fit.n - fit.dof), 2)} times the mean`;
    return far
      ? h("p", {class: "notice"}, `This row is far outside what was learned (${size}): do not trust it far.`)
      : h("p", {class: "quiet"}, `This row is within what was learned (${size}).`);
  }
}

/** A function that runs one call of `work` at a time, and afterwards once more if it was called meanwhile; `current()` is then false. */
function latest(work) {
  let [running, again] = [false, false];
  return async function run() {
    again = running;
    if (running) return;
    running = true;
    do {
      again = false;
      await work(() => !again);
    } while (again);
    running = false;
  };
}
