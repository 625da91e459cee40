// What a model can do after it was trained: learn rows, and forget them again. A section of a model's page.

import {curl, get, path} from "../api.js";
import {curlBox, h, newId, notice, replace} from "../dom.js";
import {check, tell} from "../fields.js";
import {number} from "../numbers.js";
import {jobProgress} from "../progress.js";
import {CSV, rowsInput, sent} from "../rows_input.js";
import {work} from "../work.js";

const UNCHECKED = "this version keeps no ledger to look them up";
const EXACT = "gradient training takes rows, and a model keeps none";
const VERBS = {
  learn: {title: "Learn", told: "The new version is the one that a training with all rows, old and new, would have given."},
  forget: {title: "Forget", told: "The new version is the one that a training without these rows would have given."},
};

/** The section for the live version of a model; `changed()` is called when there is a new version. */
export async function livingPanel(model, changed = () => {}) {
  let base = await get(path(["models", model, "versions", "live"]));
  let verb = "learn";
  const gradient = typeof base.fit.solver === "object" && "epochs" in base.fit.solver;
  const [told, outcome] = [h("p", {class: "quiet"}), h("div")];
  const input = rowsInput(settle, {example: exampleOf(base)});
  const exact = h("input", {type: "checkbox", name: "exact", checked: gradient});
  const purge = h("input", {type: "checkbox", name: "purge"});
  const unchecked = h("input", {type: "checkbox", name: "unchecked"});
  const button = h("button", {class: "primary"});
  const box = curlBox("");
  const forgetting = h("div", {},
    check("delete the versions that hold these rows, too", purge, {path: "purge"}),
    !base.memory.ledger && check("these rows were learned, I am sure", unchecked, {path: "unchecked", hint: UNCHECKED}));
  const form = h("form", {onsubmit: (event) => (event.preventDefault(), act()), oninput: settle, onchange: settle},
    choice(), told, input.element,
    gradient && check("solve exactly from now on", exact, {path: "solver", hint: EXACT}),
    forgetting, h("div", {class: "row"}, button), box);

  function choice() {
    const name = newId("verb");
    const radio = (value) => h("input", {type: "radio", name, value, checked: value === verb, onchange: () => (verb = value)});
    return h("div", {class: "row", role: "radiogroup", "aria-label": "What to do with rows"},
      Object.entries(VERBS).map(([value, {title}]) => h("label", {class: "check"}, radio(value), title)));
  }

  function settle() {
    const rows = input.rows();
    forgetting.hidden = verb !== "forget";
    told.textContent = VERBS[verb].told;
    button.textContent = `${VERBS[verb].title} these rows`;
    button.disabled = !rows || rows.table.faults.length > 0;
    box.hidden = !rows;
    if (rows) box.set(curl("POST", address(), sent(rows)));
  }

  function address() {
    const forget = verb === "forget";
    return path(["models", model, verb], {
      solver: gradient && exact.checked ? "exact" : null,
      purge: forget && purge.checked ? "true" : null,
      unchecked: forget && unchecked.checked ? "true" : null,
    });
  }

  async function act() {
    tell(form, null);
    button.disabled = true;
    try {
      const version = await work(address(), {body: input.rows().body, type: CSV}, {progress: jobProgress(outcome)});
      replace(outcome, done(model, base, version));
      base = version;
      input.clear();
      changed();
    } catch (problem) {
      replace(outcome, notice(tell(form, problem)));
      settle();
    }
  }

  settle();
  return h("section", {"aria-label": "Learn and forget"}, h("h2", {}, "Learn and forget"), form, outcome);
}

/** The columns that rows of a version must have, and a line of a row. */
function exampleOf({schema}) {
  const names = [...schema.features.map(({name}) => name), ...schema.targets];
  return names.join("\t");
}

/** What came of it. */
function done(model, base, {version, fit, forgotten}) {
  const difference = Math.abs(fit.n - base.fit.n);
  const rows = `${number(difference)} ${difference === 1 ? "row" : "rows"} ${fit.n < base.fit.n ? "fewer" : "more"}`;
  const held = forgotten?.still_in ?? [];
  const link = h("a", {href: `#${path(["models", model, "versions", version])}`}, `Version ${version}`);
  return h("div", {class: "advice", role: "status"},
    h("p", {}, link, ` is made of ${number(fit.n)} rows, ${rows} than version ${base.version}.`),
    held.length > 0 && h("p", {}, `Older versions still hold what was forgotten: ${held.join(", ")}. They go when they are deleted.`),
    forgotten?.purged.length > 0 && h("p", {}, `Deleted with the rows: version ${forgotten.purged.join(", ")}.`));
}
