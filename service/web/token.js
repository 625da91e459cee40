// The token: asked for when the service wants one, and kept until the browser's tab is closed.

import {question} from "./dialog.js";
import {h, newId} from "./dom.js";

let asking = null;

/** Ask for a token; requests that are refused at the same time share one question. */
export function askForToken(problem) {
  asking ??= asked(problem).finally(() => (asking = null));
  return asking;
}

function asked(problem) {
  const id = newId("token");
  const input = h("input", {id, type: "password", autocomplete: "off", required: true, spellcheck: "false"});
  const text = problem.status === 401
    ? "This service is protected. With a read token you can look and predict, with a write token you can also train and change."
    : "The token that was sent may not do this. A read token is not enough to train or change.";
  return question({
    title: "A token is needed",
    text,
    action: "Use this token",
    fields: [h("label", {for: id}, "Token"), input, h("p", {class: "quiet"}, "It stays in this tab and is gone when you close it.")],
    act: async () => input.value.trim(),
  });
}
