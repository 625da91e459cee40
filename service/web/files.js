// What can be taken away of a version: its report, its pictures and its weights, fetched with the token and saved as files.

import {curl, fileAddress, path} from "./api.js";
import {curlBox, h, notice, replace} from "./dom.js";

const KEPT_MS = 60_000; // that a file stays in the browser's memory for the reader to save it

/** The section of a version document. */
export function files({model, version, history, memory}) {
  const where = ["models", model, "versions", version];
  const errors = h("div");
  const button = (text, file, ending) => h("button", {class: "small", onclick: async ({target}) => {
    target.disabled = true;
    try {
      await save(file, `${model}-${version}-${text}.${ending}`.replaceAll(" ", "-"));
      replace(errors);
    } catch (error) {
      replace(errors, notice(error));
    }
    target.disabled = false;
  }}, text);
  const picture = (kind) => button(kind, path([...where, "plots", `${kind}.svg`]), "svg");
  const weights = (format) => button(format, path([...where, "state_dict"], {format}), format);
  const rows = memory.sample ? ["fit", "residuals", "qq", "leverage"] : [];
  const steps = history ? ["loss", "surface"] : [];
  const group = (name, ...buttons) =>
    h("div", {class: "row", role: "group", "aria-label": name}, h("span", {class: "quiet small"}, name), buttons);
  return h("section", {class: "files"}, h("h2", {}, "Files"),
    group("On one page", button("report", path([...where, "report.html"]), "html")),
    group("Pictures", ["coefficients", ...rows, ...steps].map(picture)),
    group("Weights", ["safetensors", "pt", "json"].map(weights)),
    errors, curlBox(`${curl("GET", path([...where, "report.html"]))} -o report.html`));
}

async function save(file, name) {
  const address = await fileAddress(file);
  h("a", {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
