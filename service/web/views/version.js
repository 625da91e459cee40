// A version: what was fitted and how well, its coefficients, a prediction to try, and what its rows say of the fit.

import {promote} from "../actions.js";
import {curl, get, path} from "../api.js";
import {coefficientTables} from "../coefficients.js";
import {diagnostics} from "../diagnostics.js";
import {curlBox, h, replace} from "../dom.js";
import {files} from "../files.js";
import {formula, percent, solver, statistic} from "../fit.js";
import {moment, number} from "../numbers.js";
import {predictionPanel} from "../prediction.js";

export async function show(main, {model, version: asked}) {
  const refresh = () => show(main, {model, version: asked});
  const [document, about] = await Promise.all([get(path(["models", model, "versions", asked])), get(path(["models", model]))]);
  const {version} = document;
  const where = ["models", model, "versions", version];
  const sample = document.memory.sample ? await sampleOf(where) : null;
  const live = about.aliases.live;
  const compare = (other, text) => h("a", {class: "button", href: `#${path(["models", model, "compare", other, version])}`}, text);
  replace(main,
    h("p", {class: "crumbs"}, h("a", {href: "#/"}, "Models"), " / ", h("a", {href: `#${path(["models", model])}`}, model)),
    h("div", {class: "row apart"},
      h("div", {class: "row"}, h("h1", {}, `${model}, version ${version}`),
        document.aliases.map((alias) => h("span", {class: `chip ${alias === "live" ? "live" : ""}`}, alias))),
      h("div", {class: "row"},
        version !== live && h("button", {class: "primary", onclick: async () =>
          (await promote(model, version, live)) && refresh()}, "Make live"),
        live && version !== live && compare(live, `Compare with version ${live}`),
        document.parent && compare(document.parent, `What changed since version ${document.parent}`))),
    h("p", {class: "lead"}, formula(document.schema)),
    document.description && h("p", {}, document.description),
    labels(document.labels),
    fitted(document),
    curlBox(curl("GET", path(where))),
    h("section", {}, h("h2", {}, "Coefficients"), coefficientTables(document.fit)),
    predictionPanel(document, sample),
    diagnostics(document, sample),
    descent(document, sample),
    files(document),
    provenance(document));
}

async function sampleOf(where) {
  try {
    return await get(path([...where, "sample"]));
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

const labels = (given) => Object.keys(given).length > 0 &&
  h("p", {class: "row"}, Object.entries(given).map(([key, value]) => h("span", {class: "chip"}, `${key}: ${value}`)));

function fitted({fit}) {
  const facts = [
    ["rows", number(fit.n)], ["variance explained", percent(fit.r2)], ["adjusted R²", percent(fit.adjusted_r2)],
    ["residual sd", statistic(fit.residual_std)], ["degrees of freedom", number(fit.dof)], ["F", statistic(fit.f)],
    ["AIC", statistic(fit.aic, 5)], ["condition", number(fit.condition, 3)], ["gap to the exact fit", statistic(fit.gap_to_exact)],
    ["solver", solver(fit)],
  ].filter(([, value]) => !/^[–, ]*$/.test(value));
  return [
    h("dl", {class: "facts"}, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    (fit.advice ?? []).map((text) => h("p", {class: "notice"}, text)),
  ];
}

function descent({model, version, history, schema}, sample) {
  const plain = history && sample && schema.features.length === 1 && schema.targets.length === 1;
  return plain && h("section", {}, h("h2", {}, "Gradient descent"),
    h("a", {class: "button", href: `#${path(["descent", model, version])}`}, "See how the line was found, step by step"));
}

function provenance(document) {
  const rows = [
    ["Made by", `${document.operation}, ${moment(document.created)}`],
    ["Made of", document.parent && `version ${document.parent}`],
    ["Fingerprint", document.fingerprint && h("code", {}, document.fingerprint)],
    ["Weights", h("code", {}, document.state_dict)],
    ["Can forget rows", document.memory.ledger ? "yes: it keeps a digest of each" : "only unchecked: it keeps no digests of its rows"],
  ].filter(([, value]) => value);
  return h("section", {}, h("h2", {}, "Where it comes from"),
    h("dl", {class: "pairs"}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}
