// Questions before something happens: a dialog of the browser, which keeps the keyboard's focus inside and closes by Escape.

import {curlBox, h, newId, notice} from "./dom.js";

/**
 * Ask, and answer what `act(form)` answers; null when the reader changes his mind. An error is shown in the dialog, which stays.
 * `fields` are elements between the text and the buttons; `curl()` gives the command that does the same as `act`.
 */
export function question({title, text, action, fields = [], curl, act}) {
  return new Promise((resolve) => {
    const name = newId("dialog");
    const errors = h("div");
    const box = curl && curlBox(curl());
    const done = h("button", {class: "primary"}, action);
    const form = h("form", {method: "dialog", onsubmit: submit, oninput: () => box?.set(curl())},
      h("h2", {id: name}, title), h("p", {}, text), fields, errors, box,
      h("div", {class: "buttons"}, h("button", {type: "button", onclick: () => dialog.close()}, "Cancel"), done));
    const dialog = h("dialog", {"aria-labelledby": name, onclose: () => (dialog.remove(), resolve(result))}, form);
    let result = null;

    async function submit(event) {
      event.preventDefault();
      done.disabled = true;
      try {
        result = await act();
        dialog.close();
      } catch (error) {
        errors.replaceChildren(notice(error));
        done.disabled = false;
      }
    }

    document.body.append(dialog);
    dialog.showModal();
  });
}
