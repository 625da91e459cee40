// What changes a model: which version is live. Each asks first, and shows the curl that does the same.

import {curl, path, send} from "./api.js";
import {question} from "./dialog.js";
import {h, newId, say} from "./dom.js";

function reasonField() {
  const id = newId("reason");
  const input = h("input", {id, maxlength: 1000, placeholder: "for those who look at the history later"});
  return {fields: [h("label", {for: id}, "Reason (optional)"), input], reason: () => input.value.trim()};
}

/** Ask, then make `version` live if `live` still is; answers the new state of the alias, or null. */
export async function promote(model, version, live) {
  const {fields, reason} = reasonField();
  const where = path(["models", model, "aliases", "live"]);
  const body = () => ({version, ...(live ? {expect: live} : {}), ...(reason() ? {reason: reason()} : {})});
  const moved = await question({
    title: `Make version ${version} live?`,
    text: [
      `Predictions of ${model} that name no version come from version ${version} within seconds.`,
      live && ` Now they come from version ${live}.`,
    ],
    action: "Make live",
    fields,
    curl: () => curl("PUT", where, {json: body()}),
    act: () => send("PUT", where, {json: body()}),
  });
  if (moved) say(`Version ${moved.version} of ${model} is live.`);
  return moved;
}

/** Ask, then move live back to the version before; answers the new state of the alias, or null. */
export async function rollBack(model, live) {
  const {fields, reason} = reasonField();
  const where = path(["models", model, "rollback"]);
  const body = () => (reason() ? {reason: reason()} : {});
  const moved = await question({
    title: "Roll back?",
    text: `The version that was live before serves again. No version is lost: version ${live} can be made live again at any time.`,
    action: "Roll back",
    fields,
    curl: () => curl("POST", where, {json: body()}),
    act: () => send("POST", where, {json: body()}),
  });
  if (moved) say(`Version ${moved.version} of ${model} is live again.`);
  return moved;
}
