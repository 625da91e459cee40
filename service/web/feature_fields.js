// The fields in which a row is typed: a number with a slider over its range, or a choice of categories.

import {h, newId} from "./dom.js";

const MOST = 12;

/** A field per feature of `ranges`; what is typed goes into `values`, then `changed()` is called. Many fields are folded away. */
export function featureFields(ranges, values, changed) {
  const fields = Object.keys(ranges).map((name) => {
    const make = ranges[name].choices ? choice : numeric;
    return make(name, ranges[name], (value) => {
      values[name] = value;
      changed();
    });
  });
  const folded = fields.slice(MOST);
  return [
    h("div", {class: "fields"}, fields.slice(0, MOST)),
    folded.length > 0 && h("details", {}, h("summary", {}, `${folded.length} more features`), h("div", {class: "fields"}, folded)),
  ];
}

function choice(name, {choices, start}, set) {
  const id = newId("feature");
  const options = choices.map((value) => h("option", {selected: value === start}, String(value)));
  const select = h("select", {id, onchange: () => set(choices[select.selectedIndex])}, options);
  return h("div", {class: "field"}, h("label", {for: id}, name), select);
}

function numeric(name, {low, high, start}, set) {
  const id = newId("feature");
  const typed = h("input", {id, type: "number", step: "any", value: start, oninput: () => {
    if (!Number.isFinite(typed.valueAsNumber)) return;
    if (slider) slider.value = typed.value;
    set(typed.valueAsNumber);
  }});
  const slider = high > low && h("input", {
    type: "range", min: low, max: high, step: stepOf(low, high), "aria-label": `${name}, slider`,
    oninput: () => {
      typed.value = slider.value;
      set(slider.valueAsNumber);
    },
  });
  if (slider) slider.value = start; // after its range is known
  return h("div", {class: "field"}, h("label", {for: id}, name), typed, slider);
}

/** A round step, some hundreds of which make the range. */
const stepOf = (low, high) => Number((10 ** Math.floor(Math.log10((high - low) / 100))).toPrecision(1));
