// The page: from the address behind # to a view. A view is a module whose `show(main, parameters)` fills the main part of the
// page; the function that it may answer is called when the reader leaves.

import {onTokenNeeded} from "./api.js";
import {h, notice, replace} from "./dom.js";
import {askForToken} from "./token.js";

const ROUTES = [
  ["", "start"],
  ["models/:model", "model"],
  ["models/:model/versions/:version", "version"],
  ["models/:model/compare/:from/:to", "compare"],
  ["train", "train"],
  ["descent", "descent"],
  ["descent/:model/:version", "descent"],
];
const main = document.getElementById("main");
let leave = () => {};
let visit = 0;

/** The view of an address, and what its parts say: {view, parameters}; null where there is none. */
function found(address) {
  const [where, query = ""] = address.replace(/^#?\/?/, "").split("?");
  const parts = where.split("/");
  for (const [pattern, view] of ROUTES) {
    const names = pattern.split("/");
    if (names.length !== parts.length || !names.every((name, i) => name.startsWith(":") || name === parts[i])) continue;
    const named = names.flatMap((name, i) => (name.startsWith(":") ? [[name.slice(1), decodeURIComponent(parts[i])]] : []));
    return {view, parameters: {...Object.fromEntries(new URLSearchParams(query)), ...Object.fromEntries(named)}};
  }
  return null;
}

async function route({first = false} = {}) {
  const mine = ++visit;
  leave();
  leave = () => {};
  const place = h("div", {class: "view"}, h("p", {class: "quiet"}, "Loading …"));
  replace(main, place);
  mark();
  try {
    const target = found(location.hash);
    if (!target) throw new Error("There is no such page here: the address may be incomplete.");
    const view = await import(`./views/${target.view}.js`);
    const left = await view.show(place, target.parameters);
    if (mine === visit) leave = left ?? leave;
    else left?.();
  } catch (error) {
    if (mine === visit) replace(place, h("h1", {}, "This cannot be shown"), notice(error), h("a", {href: "#/"}, "To the models"));
  }
  if (mine !== visit) return;
  const heading = place.querySelector("h1")?.textContent;
  document.title = heading ? `${heading} · Plumbline` : "Plumbline";
  if (!first) {
    scrollTo(0, 0);
    main.focus({preventScroll: true}); // so that a screen reader and the Tab key go on from here
  }
}

/** Mark the entry of the menu that leads here. */
function mark() {
  const here = location.hash.split("/")[1] ?? "";
  for (const link of document.querySelectorAll("nav a[href^='#']")) {
    const part = link.hash.split("/")[1];
    if (part === here || (part === "" && here === "models")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

onTokenNeeded(askForToken);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address behind # is the view's
  main.focus();
});
addEventListener("hashchange", () => route());
await route({first: true});
