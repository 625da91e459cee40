// What each column of a table is in a training: feature, category, target, or nothing; and the terms made of them.

import {breaking, h, table} from "./dom.js";

const FEW = 20; // so many different numbers may be codes of categories
const EXAMPLES = 3;

/**
 * The choice of columns as {element, chosen()}; `changed()` is called with every change.
 *
 * `chosen` is {target, features, categorical, numeric, all}: names in the order of the table; `categorical` are the features that must
 * be declared so, `numeric` those that can be multiplied, `all` whether no column is left out.
 */
export function columnsChoice({columns, rows}, changed) {
  const numeric = columns.filter((column) => column.type === "number");
  let target = numeric.at(-1)?.name ?? null;
  const choices = columns.map((column, i) => {
    const feature = h("input", {type: "checkbox", "aria-label": `${column.name} is a feature`, onchange: changed});
    const category = h("input", {type: "checkbox", "aria-label": `${column.name} is a category`, onchange: changed});
    const aim = h("input", {type: "radio", name: "target", "aria-label": `${column.name} is the target`, onchange: () => {
      target = column.name;
      settle();
      changed();
    }});
    feature.checked = column.type !== "empty";
    category.checked = column.type === "text";
    aim.disabled = column.type !== "number";
    const examples = [...new Set(rows.map((row) => row[i]))].filter(Boolean).slice(0, EXAMPLES).join(", ");
    return {column, feature, category, aim, row: [breaking(column.name), aim, feature, category, described(column), examples]};
  });

  /** The target is no feature, and only texts and numbers that may be codes can be categories. */
  function settle() {
    for (const {column, feature, category, aim} of choices) {
      const [was, is] = [feature.disabled && column.type !== "empty", column.name === target];
      aim.checked = is;
      feature.disabled = is || column.type === "empty";
      if (is) feature.checked = false;
      else if (was) feature.checked = true; // it was the target before
      category.disabled = is || column.type !== "number" || column.texts > FEW;
      if (is) category.checked = false;
    }
  }

  function chosen() {
    const used = choices.filter(({feature}) => feature.checked);
    const names = (some) => some.map(({column}) => column.name);
    return {
      target, features: names(used), all: used.length === columns.length - 1,
      categorical: names(used.filter(({column, category}) => category.checked && (column.type === "number" || column.mixed))),
      numeric: names(used.filter(({column, category}) => column.type === "number" && !category.checked)),
    };
  }

  settle();
  const heads = [{name: "Column", class: "term"}, "Target", "Feature", "Category", "Type", {name: "Examples", class: "quiet examples"}];
  return {element: table("What each column is", heads, choices.map(({row}) => row)), chosen};
}

function described({type, missing, texts, mixed}) {
  const text = mixed ? `texts and numbers, ${texts} different` : `${texts} different texts`;
  const kind = {number: "numbers", text, empty: "empty"}[type];
  return missing && type !== "empty" ? `${kind}, ${missing} missing` : kind;
}

/** The design columns: the features, and with them their squares or the products of their pairs; null for the features alone. */
export function termsOf({features, numeric}, {squares, products}) {
  const names = numeric.map(quoted);
  const added = [
    ...(squares ? names.map((name) => `${name}^2`) : []),
    ...(products ? names.flatMap((name, i) => names.slice(i + 1).map((other) => `${name}*${other}`)) : []),
  ];
  return added.length ? [...features.map(quoted), ...added] : null;
}

/** A name as a term has it: bare where it can be. */
const quoted = (name) => (/^[\p{L}_][\p{L}\p{N}_.]*$/u.test(name) ? name : `\`${name.replaceAll("`", "``")}\``);
