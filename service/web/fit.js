// What version documents say, in the forms in which several views show it.

import {number} from "./numbers.js";

/** The numbers of a statistic: one, or one for each target; what is not known is left out. */
export const known = (statistic) => [statistic].flat().filter((value) => value !== null && value !== undefined);

/** A statistic as text; of several targets all, in their order. */
export const statistic = (value, digits) => [value].flat().map((one) => number(one, digits)).join(", ");

/** Shares as text. */
export const percent = (value) => [value].flat().map(share).join(", ");

function share(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0.9999 && value < 1) return "> 99.99 %";
  return `${number(100 * value, value > 0.99 ? 4 : 3)} %`;
}

/** What explains what: "rent ~ area + rooms". */
export const formula = ({targets, frame, terms}) => `${targets.join(", ")} ~ ${[...(frame.intercept ? [] : ["0"]), ...terms].join(" + ")}`;

/** The name of a solver with what was asked of it. */
export function solver(fit) {
  if (typeof fit.solver === "string") return fit.solver === "exact" ? "exact least squares" : fit.solver.replaceAll("_", " ");
  const {name, ...options} = fit.solver;
  const told = Object.entries(options).filter(([, value]) => value !== null && typeof value !== "object");
  return [name.replaceAll("_", " "), ...told.map(([key, value]) => `${key.replaceAll("_", " ")} ${value}`)].join(", ");
}
