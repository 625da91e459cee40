// A model: its versions with where each comes from, which of them is live and was, and two of them to compare.

import {promote, rollBack} from "../actions.js";
import {curl, get, path} from "../api.js";
import {curlBox, h, newId, replace, table} from "../dom.js";
import {formula} from "../fit.js";
import {moment} from "../numbers.js";
import {timeline} from "../timeline.js";
import {livingPanel} from "./living.js";

const PAGE = 12;

export async function show(main, {model}, panel = null) {
  const refresh = () => show(main, {model});
  const [about, first] = await Promise.all([get(path(["models", model])), versionsOf(model)]);
  const live = about.aliases.live;
  const moves = live ? await get(path(["models", model, "aliases", "live"], {limit: 20})) : null;
  const back = moves?.history.some((move) => move.version && move.version !== live);
  const living = live && (panel ?? await livingPanel(model, () => show(main, {model}, living))); // what it told is still to be read
  replace(main,
    h("p", {class: "crumbs"}, h("a", {href: "#/"}, "Models")),
    h("div", {class: "row apart"},
      h("h1", {}, model),
      h("div", {class: "row"},
        live && h("a", {class: "button primary", href: `#${path(["models", model, "versions", live])}`}, `Look at version ${live}`),
        back && h("button", {onclick: async () => (await rollBack(model, live)) && refresh()}, "Roll back"))),
    about.schema && h("p", {class: "lead"}, formula(about.schema)),
    h("section", {}, h("h2", {}, "Versions"), history(model, first, live, refresh)),
    first.documents.length > 1 && h("section", {}, h("h2", {}, "Compare two versions"), chooser(model, first.documents, live)),
    moves && h("section", {}, h("h2", {}, "What was live"), lived(moves.history), aliases(model, about.aliases)),
    living);
}

async function versionsOf(model, after = null) {
  const page = await get(path(["models", model, "versions"], {limit: PAGE, after}));
  const documents = await Promise.all(page.versions.map((version) => get(path(["models", model, "versions", version]))));
  return {documents, after: page.after};
}

/** The timeline with a button for older versions. */
function history(model, {documents, after}, live, refresh) {
  const place = h("div");
  const draw = () => {
    const actions = ({version}) => version !== live && [
      h("button", {class: "small", onclick: async () => (await promote(model, version, live)) && refresh()},
        "Make live", h("span", {class: "unseen"}, ` version ${version}`)),
      live && h("a", {class: "button small", href: `#${path(["models", model, "compare", live, version])}`},
        "Compare", h("span", {class: "unseen"}, ` version ${live} with version ${version}`)),
    ];
    replace(place, timeline(documents, actions), after && h("button", {onclick: older}, "Show older versions"));
  };
  async function older() {
    const page = await versionsOf(model, after);
    documents = [...documents, ...page.documents];
    after = page.after;
    draw();
  }
  draw();
  return [place, curlBox(curl("GET", path(["models", model, "versions"])))];
}

function chooser(model, documents, live) {
  const versions = documents.map((document) => document.version);
  const [from, to] = [live ?? versions[1], versions.find((version) => version !== live)];
  const select = (chosen, name) => {
    const id = newId("version");
    const options = versions.map((version) => h("option", {value: version, selected: version === chosen}, `version ${version}`));
    return [h("label", {for: id}, name), h("select", {id}, options)];
  };
  const form = h("form", {class: "row", onsubmit: (event) => {
    event.preventDefault();
    const [first, second] = form.querySelectorAll("select");
    location.hash = path(["models", model, "compare", first.value, second.value]);
  }}, select(from, "From"), select(to, "to"), h("button", {}, "Compare"));
  return form;
}

const lived = (moves) => table("Moves of the alias live, the newest first",
  [{name: "Version"}, {name: "Since"}, {name: "By"}, {name: "Why"}],
  moves.map((move) => [move.version ?? "none", moment(move.time), move.who, move.reason]), {hidden: true});

function aliases(model, named) {
  const others = Object.entries(named).filter(([alias]) => alias !== "live");
  return others.length > 0 && h("p", {class: "quiet"}, "Other aliases: ",
    others.map(([alias, version], index) =>
      [index > 0 && ", ", h("a", {href: `#${path(["models", model, "versions", version])}`}, `${alias} → ${version}`)]));
}
