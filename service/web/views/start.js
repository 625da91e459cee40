// The start: what there is. A card for each model with what its live version says of itself; at first, what to do.

import {curl, get, path} from "../api.js";
import {curlBox, h, notice, replace} from "../dom.js";
import {formula, known, percent} from "../fit.js";
import {moment, number} from "../numbers.js";

const PAGE = 24;
const EXAMPLE = {
  model: "rent",
  columns: {area: [50, 60, 70, 90, 110, 120], rooms: [2, 2, 3, 3, 5, 4], rent: [600, 700, 800, 990, 1250, 1330]},
  target: "rent",
};

export async function show(main) {
  const cards = h("div", {class: "grid"});
  const more = h("p");
  const count = await fetched(cards, more, null);
  if (!count) return void replace(main, ...empty());
  replace(main,
    h("div", {class: "row apart heading"}, h("h1", {}, "Models"), buttons()),
    cards, more, curlBox(curl("GET", "/models")));
}

const buttons = () => h("div", {class: "row"},
  h("a", {class: "button primary", href: "#/train"}, "Train a model"),
  h("a", {class: "button", href: "#/descent"}, "Gradient descent in pictures"));

/** Add the cards of one page of models; answers how many there are. */
async function fetched(cards, more, after) {
  const page = await get(path(["models"], {limit: PAGE, after}));
  const entries = page.models.map((model) => [card(model), model]);
  cards.append(...entries.map(([element]) => element));
  replace(more, page.after && h("button", {onclick: () => fetched(cards, more, page.after)}, "Show more models"));
  for (const [element, model] of entries) if (model.aliases.live && !model.damaged) void describe(element, model);
  return page.models.length;
}

function card(model) {
  const live = model.aliases.live;
  return h("a", {class: "card", href: `#${path(["models", model.model])}`},
    h("div", {class: "row apart"}, h("h2", {}, model.model), live && h("span", {class: "chip live"}, `version ${live} is live`)),
    model.damaged ? notice({title: "Damaged", detail: model.damaged}) : !live && h("p", {class: "quiet"}, "No version is live."));
}

async function describe(element, model) {
  try {
    const {fit, schema, created} = await get(path(["models", model.model, "versions", model.aliases.live]));
    element.append(
      h("p", {class: "quiet small clamp"}, formula(schema)),
      h("dl", {class: "facts"}, fact("rows", number(fit.n)), fact("variance explained", percent(fit.r2))),
      meter(fit.r2),
      h("p", {class: "quiet small"}, `Trained ${moment(created)}`));
  } catch (error) {
    element.append(notice(error));
  }
}

const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** The share of the variance that is explained, as a bar; of several targets the least. */
function meter(r2) {
  const least = Math.min(...known(r2));
  return Number.isFinite(least) && h("div", {class: "meter", "aria-hidden": "true"}, filled(Math.max(0, least)));
}

function filled(share) {
  const bar = h("span");
  bar.style.width = `${100 * share}%`;
  return bar;
}

function empty() {
  return [
    h("h1", {}, "Lines through your data"),
    h("p", {class: "lead"},
      "Plumbline fits linear regressions exactly and serves them. You give it a table and say which column to explain; ",
      "it answers how the others explain it, how sure that is, and what it predicts for new rows."),
    buttons(),
    h("section", {},
      h("h2", {}, "Three ways to begin"),
      h("div", {class: "grid"},
        step("Train on a table", "Drop a CSV file or paste a few rows. The columns are found for you.", "#/train"),
        step("See how a line is found", "Five textbook runs of gradient descent, one click each, step by step.", "#/descent"),
        step("Read the API", "Everything that this page does is a request that you can send yourself.", "/docs"))),
    h("section", {}, h("h2", {}, "Or from a terminal"),
      h("p", {}, "Six flats: what does the rent depend on? After this command, load this page again."),
      opened(curlBox(curl("POST", "/train", {json: EXAMPLE})))),
  ];
}

function opened(box) {
  box.open = true;
  return box;
}

const step = (title, text, href) => h("a", {class: "card", href}, h("h3", {}, title), h("p", {class: "quiet"}, text));
