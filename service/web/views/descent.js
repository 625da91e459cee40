// Gradient descent as pictures: the textbook runs, one click each, and any version of one feature that was trained with its history.

import {curl, get, path} from "../api.js";
import {showDivergence, showVersion} from "../descent.js";
import {curlBox, h, notice, replace} from "../dom.js";
import {field} from "../fields.js";
import {RUNS, requestOf} from "../textbook.js";
import {work} from "../work.js";

const TEXTBOOK = /^textbook-([a-e])$/;
const MOST_EPOCHS = 5000; // every one of them comes back in the answer

/** Show the runs, and the pictures of a version where the address names one. */
export async function show(main, {model, version}) {
  const [bench, place] = [h("div"), h("section", {"aria-label": "The pictures"})];
  let stop = () => {};
  const cards = h("div", {class: "grid runs"}, Object.entries(RUNS).map(([key, run]) => card(key, run, () => choose(key).submit())));
  replace(main, h("h1", {}, "Gradient descent"), h("p", {class: "lead"}, LEAD), cards, bench, place);

  function choose(key) {
    for (const button of cards.children) button.setAttribute("aria-pressed", String(button.dataset.run === key));
    const form = workbench(key, RUNS[key], train);
    replace(bench, form.element);
    return form;
  }

  /** Train, and show what came of it: the version, or the way of a run that diverged. */
  async function train(request, run) {
    stop();
    stop = () => {};
    replace(place, h("p", {class: "quiet", role: "status"}, "Training …"));
    bench.scrollIntoView();
    try {
      const document = await work("/train", {json: request});
      history.replaceState(null, "", `#${path(["descent", document.model, document.version])}`);
      stop = await showVersion(place, document);
    } catch (problem) {
      if (problem.errors?.["solver.learning_rate"]) stop = showDivergence(place, problem, request, run);
      else replace(place, notice(problem));
    }
  }

  if (model) {
    const key = TEXTBOOK.exec(model)?.[1];
    if (key) choose(key);
    stop = await showVersion(place, await get(path(["models", model, "versions", version])));
  }
  return () => stop();
}

const LEAD = "A line is fitted by small steps, each down the slope of its error. Choose a run: it is trained by this service, and "
  + "every step of it is drawn as the line among the data, as the way down the error, and as the loss.";

const card = (key, run, onclick) => h("button", {type: "button", class: "card", "data-run": key, "aria-pressed": "false", onclick},
  h("strong", {}, `${key.toUpperCase()}. ${run.title}`), h("span", {class: "quiet small"}, run.says));

/** What to look for in a run, and the form that trains it, perhaps otherwise: {element, submit()}. `train(request, run)` does it. */
function workbench(key, run, train) {
  let chosen = run;
  const rate = h("input", {type: "number", min: 0, step: "any", required: true, name: "learning_rate"});
  const epochs = h("input", {type: "number", min: 1, max: MOST_EPOCHS, step: 1, required: true, name: "epochs"});
  const variants = h("select", {name: "variant", onchange: () => (vary(), submit())},
    Object.keys(run.variants ?? {}).map((name) => h("option", {}, name)));
  const [look, box] = [h("p"), curlBox("")];
  const form = h("form", {class: "row labelled-row", onsubmit: (event) => (event.preventDefault(), submit()), oninput: told},
    run.variants && field("Optimizer", variants), field("Learning rate", rate), field("Epochs", epochs),
    h("button", {class: "primary"}, "Train again"));

  function vary() {
    chosen = {...run, ...run.variants?.[variants.value]};
    replace(look, h("strong", {}, "What to look for: "), chosen.look);
    rate.value = chosen.solver.learning_rate;
    epochs.value = chosen.solver.epochs;
    told();
  }

  function asked() {
    const request = requestOf(key, chosen);
    return {...request, solver: {...request.solver, learning_rate: Number(rate.value), epochs: Number(epochs.value)}};
  }

  function told() {
    box.set(curl("POST", "/train", {json: asked()}));
  }

  function submit() {
    if (form.reportValidity()) train(asked(), chosen);
  }

  vary();
  return {element: h("section", {"aria-label": run.title}, look, form, box), submit};
}
