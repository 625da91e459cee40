// How a model is to be solved for: exactly, with a penalty, or by gradient training.

import {h} from "./dom.js";
import {check, field} from "./fields.js";

const GRADIENT = ["sgd", "gradient_descent", "adam", "adagrad", "rmsprop", "lbfgs"];
const LIVE_EPOCHS = 100;

/** The fields as {element, solver()}: `solver` as `POST /train` takes it, null for exact least squares. */
export function solverFields() {
  const choice = h("select", {name: "solver", onchange: show},
    [["exact", "Exact least squares"], ["ridge", "Ridge: exact, with a penalty"], ["gradient", "Gradient training"]]
      .map(([value, text]) => h("option", {value}, text)));
  const ridge = h("input", {type: "number", name: "ridge", min: 0, step: "any", value: 1, required: true});
  const optimizer = h("select", {name: "optimizer"}, GRADIENT.map((name) => h("option", {value: name}, name)));
  const rate = h("input", {type: "number", name: "learning_rate", min: 0, step: "any", value: 0.01, required: true});
  const epochs = h("input", {type: "number", name: "epochs", min: 1, max: 1_000_000, step: 1, value: LIVE_EPOCHS, required: true});
  const standardize = h("input", {type: "checkbox", name: "standardize", checked: true});
  const penalty = h("div", {},
    field("Penalty", ridge, {path: "solver.ridge", hint: "the larger, the smaller the coefficients"}));
  const gradient = h("div", {class: "row labelled-row"},
    field("Optimizer", optimizer, {path: "solver.name"}),
    field("Learning rate", rate, {path: "solver.learning_rate"}),
    field("Epochs", epochs, {path: "solver.epochs"}),
    check("standardize", standardize, {path: "solver.standardize", hint: "so that columns of any scale learn at one rate"}));

  /** What is not shown is not part of the form either. */
  function show() {
    for (const [part, value] of [[penalty, "ridge"], [gradient, "gradient"]]) {
      part.hidden = choice.value !== value;
      for (const input of part.querySelectorAll("input, select")) input.disabled = part.hidden;
    }
  }

  function solver() {
    if (choice.value === "exact") return null;
    if (choice.value === "ridge") return {name: "exact", ridge: Number(ridge.value)};
    return {name: optimizer.value, learning_rate: Number(rate.value), epochs: Number(epochs.value), standardize: standardize.checked};
  }

  show();
  return {element: h("div", {}, field("Solver", choice, {path: "solver"}), penalty, gradient), solver};
}
