// Fields of forms: each with its label, a hint, and what the service says against it.

import {h, newId, replace} from "./dom.js";

/** A labelled input; errors of the service at `path`, or beneath it, are shown with it. */
export function field(label, input, {hint, path} = {}) {
  return described(h("div", {class: "labelled"}), label, input, {hint, path}, (name) => [h("label", {for: name.for}, label), input]);
}

/** A checkbox with its label behind it. */
export function check(label, input, {hint, path} = {}) {
  return described(h("div", {class: "labelled"}), label, input, {hint, path}, () => [h("label", {class: "check"}, input, label)]);
}

function described(element, label, input, {hint, path}, parts) {
  const [id, about] = [newId("field"), newId("about")];
  input.id = id;
  input.setAttribute("aria-describedby", about);
  if (path) element.dataset.path = path;
  const errors = h("span", {class: "errors"});
  element.append(...parts({for: id}), h("div", {id: about, class: "about small"}, errors, hint && h("span", {class: "quiet"}, hint)));
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
