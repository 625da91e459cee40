// Fields of forms: each with its label, a hint, and what the service says against it.

import {h, newId, replace} from "./dom.js";

/** A labelled input; errors of the service at `path`, or beneath it, are shown with it. */
export function field(label, input, {hint, path} = {}) {
  input.id = newId("field");
  return described(input, [h("label", {for: input.id}, label), input], {hint, path});
}

/** A checkbox with its label behind it. */
export function check(label, input, {hint, path} = {}) {
  return described(input, h("label", {class: "check"}, input, label), {hint, path});
}

function described(input, labelled, {hint, path}) {
  const about = newId("about");
  input.setAttribute("aria-describedby", about);
  const errors = h("span", {class: "errors"});
  const element = h("div", {class: "labelled", "data-path": path}, labelled,
    h("div", {id: about, class: "about small"}, errors, hint && h("span", {class: "quiet"}, hint)));
  element.tell = (texts) => {
    replace(errors, texts.length > 0 && `${texts.join("; ")}. `);
    input.toggleAttribute("aria-invalid", texts.length > 0);
  };
  return element;
}

/** Show each error of a problem at the field it is about; answers the problem with those that belong to none. */
export function tell(form, problem) {
  const rest = {...problem?.errors};
  const nearest = [...form.querySelectorAll("[data-path]")].sort((a, b) => b.dataset.path.length - a.dataset.path.length);
  for (const one of nearest) {
    const mine = Object.keys(rest).filter((path) => path === one.dataset.path || path.startsWith(`${one.dataset.path}.`));
    one.tell(mine.flatMap((path) => {
      const texts = [rest[path]].flat();
      delete rest[path];
      return texts;
    }));
  }
  return problem && {title: problem.title, detail: problem.detail, errors: rest};
}
