// Training: rows in, columns chosen, a model out.

import {curl, path} from "../api.js";
import {columnsChoice, termsOf} from "../columns.js";
import {curlBox, h, notice, replace} from "../dom.js";
import {check, field, tell} from "../fields.js";
import {number} from "../numbers.js";
import {jobProgress} from "../progress.js";
import {CSV, rowsInput, sent} from "../rows_input.js";
import {solverFields} from "../solver_fields.js";
import {work} from "../work.js";

const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}";
const SAMPLE = 1000;

export async function show(main) {
  const leaving = new AbortController();
  let choice = null;
  const [columns, terms, outcome] = [h("div"), h("p", {class: "small quiet"}), h("div")];
  const input = rowsInput(arrived);
  const solver = solverFields();
  const model = h("input", {name: "model", required: true, pattern: NAME, value: "default", autocomplete: "off", spellcheck: "false"});
  const squares = h("input", {type: "checkbox", name: "squares"});
  const products = h("input", {type: "checkbox", name: "products"});
  const drop = h("input", {type: "checkbox", name: "drop"});
  const renew = h("input", {type: "checkbox", name: "new_schema"});
  const sample = h("input", {type: "number", name: "sample", min: 0, max: 10_000, step: 1, value: SAMPLE, required: true});
  const button = h("button", {class: "primary"}, "Train");
  const box = curlBox("");
  const rest = h("div", {hidden: true},
    part("Columns", {path: "target"}, columns, check("leave out rows with missing cells", drop, {path: "missing"})),
    part("Terms", {path: "terms"}, h("div", {class: "row"}, check("squares", squares), check("products of pairs", products)), terms),
    part("Model", {},
      h("div", {class: "row labelled-row"},
        field("Name", model, {path: "model", hint: "a name that is there already gets a new version"}),
        check("other columns than before are meant", renew, {path: "new_schema"})),
      solver.element,
      field("Rows to keep for pictures", sample, {path: "sample", hint: SAMPLE_HINT})),
    h("div", {class: "row"}, button), box);
  const form = h("form", {onsubmit: (event) => (event.preventDefault(), train()), oninput: told, onchange: told},
    part("Rows", {}, input.element), rest);
  replace(main, h("h1", {}, "Train a model"), h("p", {class: "lead"}, LEAD), form, outcome);

  function arrived(rows) {
    rest.hidden = !rows?.table.columns.length;
    button.disabled = !rows || rows.table.faults.length > 0;
    choice = rows && columnsChoice(rows.table, told);
    replace(columns, choice?.element);
    drop.checked = rows?.table.columns.some(({type, missing}) => missing && type !== "empty") ?? false;
    if (rows?.name) model.value = nameOf(rows.name);
    tell(form, null);
    told();
  }

  /** The options as pairs of a query; a list is repeated. */
  function query() {
    const {target, features, categorical, all} = choice.chosen();
    const made = termsOf(choice.chosen(), {squares: squares.checked, products: products.checked});
    const asked = solver.solver();
    return [
      ["model", model.value], ["target", target],
      ...(all ? [] : features.map((name) => ["features", name])),
      ...categorical.map((name) => ["categorical", name]),
      ...(made ?? []).map((term) => ["terms", term]),
      ...(drop.checked ? [["missing", "drop"]] : []),
      ...(asked ? [["solver", JSON.stringify(asked)]] : []),
      ...(asked && "epochs" in asked ? [["history", "true"]] : []),
      ...(renew.checked ? [["new_schema", "true"]] : []),
      ["sample", sample.value],
    ];
  }

  const address = () => `/train?${new URLSearchParams(query())}`;

  function told() {
    if (!choice) return;
    const made = termsOf(choice.chosen(), {squares: squares.checked, products: products.checked}) ?? choice.chosen().features;
    const listed = [...made.slice(0, MOST_TERMS), ...(made.length > MOST_TERMS ? ["…"] : [])].join(", ");
    replace(terms, `${number(made.length)} ${made.length === 1 ? "term" : "terms"}: ${listed}`);
    box.set(curl("POST", address(), sent(input.rows())));
  }

  async function train() {
    tell(form, null);
    button.disabled = true;
    const place = h("section", {"aria-label": "The training"});
    replace(outcome, place);
    place.scrollIntoView({block: "nearest"});
    try {
      const watched = {progress: jobProgress(place), patient: true, signal: leaving.signal};
      replace(place, ...trained(await work(address(), {body: input.rows().body, type: CSV}, watched)));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      replace(place, notice(tell(form, problem)));
      form.querySelector("[aria-invalid]")?.focus();
    } finally {
      button.disabled = false;
    }
  }

  return () => leaving.abort();
}

const MOST_TERMS = 12;
const LEAD = "Give a table with one row per observation and one column per quantity. One column is the target, which the model explains by "
  + "the others.";
const SAMPLE_HINT = "So many rows are stored with the version, as they are, so that it can draw its data and residuals; 0 keeps none. "
  + "Everything else needs sums alone.";

/** A part of the form, with room for what the service says against it as a whole. */
function part(title, {path: where}, ...children) {
  const errors = h("p", {class: "errors"});
  const section = h("section", {"data-path": where}, h("h2", {}, title), errors, ...children);
  section.tell = (texts) => replace(errors, texts.length > 0 && `${texts.join("; ")}.`);
  return section;
}

/** A model's name from a file's. */
const nameOf = (file) =>
  file.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 64) || "default";

function trained({model, version, fit, history, schema}) {
  const where = `#${path(["models", model, "versions", version])}`;
  const walked = history && schema.features.length === 1;
  return [
    h("h2", {}, `Version ${version} of ${model} is trained`),
    h("p", {}, `${number(fit.n)} rows; it explains ${number(100 * [fit.r2].flat()[0], 4)} % of the variance of ${schema.targets[0]}.`),
    h("div", {class: "row"},
      h("a", {class: "button primary done", href: where}, "Look at the version"),
      walked && h("a", {class: "button", href: `#${path(["descent", model, version])}`}, "See how it learned")),
  ];
}
