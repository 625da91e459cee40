// Elements. Text is only ever set as text, so a name that looks like markup is shown as it is.

const SVG = "http://www.w3.org/2000/svg";
let ids = 0;

/** An id that no other element of the page has. */
export const newId = (prefix = "id") => `${prefix}-${++ids}`;

/**
 * An element: `h("a", {href: "#/", class: "button"}, "text", otherElement)`.
 * `on…` properties are listeners; `true` sets a bare attribute; `false`, `null` and `undefined` leave it out. So with children.
 */
export const h = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);

/** An element of a drawing, as `h` makes it. */
export const svg = (tag, properties = {}, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  return add(element, children);
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== false && child !== null && child !== undefined) element.append(child);
  }
  return element;
}

/** Put new children in the place of an element's old ones. */
export function replace(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

/** A name that may break after what joins its words, as in `water_temperature`. */
export const breaking = (name) => name.split(/(?<=[_.*:/-])(?=.)/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));

/** A short message that is shown for a moment, and read out by a screen reader. */
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (place.textContent = ""), 5000);
}

/** An error as advice: what is wrong, and by part what to do about it. */
export function notice(problem) {
  const parts = Object.entries(problem.errors ?? {});
  const detail = problem.detail ?? problem.message ?? String(problem);
  return h("div", {class: "notice", role: "alert"},
    h("strong", {}, problem.title ?? "This did not work"),
    detail && h("p", {}, sentence(detail)),
    parts.length > 0 && h("ul", {}, parts.map(([path, texts]) => h("li", {}, h("code", {}, path), " ", [texts].flat().join("; ")))));
}

/** A text with a capital first letter and a full stop. */
function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?:]$/.test(whole) ? whole : `${whole}.`;
}

/** The `curl` that does the same, folded away, with a button that copies it; `.set(text)` changes it. */
export function curlBox(text) {
  const code = h("code", {}, text);
  const copy = h("button", {type: "button", class: "small", onclick: () => copied(code.textContent)}, "Copy");
  const box = h("details", {class: "curl"},
    h("summary", {}, "Show as curl"),
    h("div", {class: "code"}, h("pre", {}, code), copy));
  box.set = (changed) => (code.textContent = changed);
  return box;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("The browser does not let this page copy: mark the text and copy it yourself.");
  }
}

/** A table in a frame of its own that scrolls where the screen is narrow. Cells are text or elements; `{class}` by column. */
export function table(caption, columns, rows, {hidden = false} = {}) {
  const head = columns.map((column) => h("th", {scope: "col", class: column.class}, column.name ?? column));
  const body = rows.map((row) => h("tr", {}, row.map((cell, index) =>
    index === 0 ? h("th", {scope: "row", class: columns[0].class}, cell) : h("td", {class: columns[index].class}, cell))));
  return h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption},
    h("table", {}, h("caption", {class: hidden && "unseen"}, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}
