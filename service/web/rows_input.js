// Where rows come in: a CSV file that is dropped or chosen, or a table that is pasted.

import {h, newId, notice, replace, table} from "./dom.js";
import {readTable, toCsv} from "./table.js";

export const CSV = "text/csv";
const LOOK_BYTES = 256 * 1024;
const SHOWN_ROWS = 6;
const FLATS = "area\trooms\trent\n50\t2\t600\n60\t2\t700\n70\t3\t800\n90\t3\t990\n110\t5\t1250\n120\t4\t1330";

/**
 * An input for rows as {element, rows(), clear()}; `changed(rows)` is called with every change. While it is empty, `example` is shown,
 * and without one the rents of six flats, which a button puts in.
 *
 * `rows` is null while there is nothing, else {table, body, name, file}: the table as `readTable` has it, the body to send as
 * `text/csv`, and for a file its name. A file is sent as it is; pasted text with commas between its cells.
 */
export function rowsInput(changed, {example = null} = {}) {
  let rows = null;
  const [fileId, textId] = [newId("file"), newId("paste")];
  const file = h("input", {id: fileId, type: "file", accept: ".csv,text/csv", class: "unseen", onchange: () => chosen(file.files[0])});
  const text = h("textarea", {
    id: textId, rows: example ? 5 : 7, class: "wide cells", spellcheck: "false", autocomplete: "off", placeholder: example ?? FLATS,
    oninput: () => pasted(text.value),
  });
  const told = h("div", {class: "found", "aria-live": "polite"});
  const flats = h("button", {type: "button", class: "small", hidden: Boolean(example), onclick: () => {
    text.value = FLATS;
    pasted(FLATS);
    text.focus();
  }}, "Try these six flats");
  const drop = h("div", {class: "drop", ondragover: over, ondragleave: () => drop.classList.remove("over"), ondrop: dropped},
    file, h("label", {for: fileId, class: "button"}, "Choose a CSV file"), h("span", {class: "quiet"}, "or drop one here"));
  const hint = "or paste a table, with the names of its columns in the first line";
  const element = h("div", {}, drop, h("div", {class: "labelled"}, h("label", {for: textId}, hint), text, flats), told);

  function over(event) {
    event.preventDefault();
    drop.classList.add("over");
  }

  function dropped(event) {
    event.preventDefault();
    drop.classList.remove("over");
    chosen(event.dataTransfer.files[0]);
  }

  async function chosen(one) {
    if (!one) return;
    text.value = "";
    const head = await one.slice(0, LOOK_BYTES).text();
    set({table: readTable(head, {whole: one.size <= LOOK_BYTES}), body: one, name: one.name, file: true});
  }

  function pasted(value) {
    file.value = "";
    set(value.trim() ? {table: readTable(value, {pasted: true}), body: toCsv(value), name: null, file: false} : null);
  }

  function set(found) {
    rows = found;
    flats.hidden = Boolean(example || rows);
    replace(told, ...(rows ? shown(rows) : []));
    changed(rows);
  }

  function clear() {
    text.value = "";
    file.value = "";
    set(null);
  }

  return {element, rows: () => rows, clear};
}

/** The rows as `curl` shows them: a file by its name. */
export const sent = ({file, name, body}) => (file ? {file: name, type: CSV} : {body, type: CSV});

function shown({table: {columns, rows, more, faults, warnings}, name}) {
  const count = `${more ? "more than " : ""}${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
  const cells = rows.slice(0, SHOWN_ROWS).map((row) => columns.map((_, i) => row[i] ?? ""));
  const names = columns.map((column) => ({name: column.name, class: column.type === "number" ? "number" : ""}));
  const [errors, title] = [[...faults, ...warnings], faults.length ? "This cannot be read as it is meant" : "Look at this first"];
  return [
    h("p", {}, h("strong", {}, name ?? "Pasted table"), `: ${columns.length} columns, ${count}`),
    errors.length > 0 && notice({title, detail: errors.join(" ")}),
    cells.length > 0 && h("details", {}, h("summary", {}, "Show the first rows"), table("The first rows", names, cells)),
  ];
}
