// Between which values a feature of a version moves: from its sample where there is one, else from what the fit gives away.

import {send} from "./api.js";
import {extent} from "./numbers.js";

const SPREADS = 3;

/** By feature {low, high, start} of numbers, or {choices, start}; a number of which nothing is known has {start: 0} alone. */
export async function ranges(document, sample) {
  const {features, frame} = document.schema;
  const found = {};
  for (const {name, type} of features) {
    if (type === "categorical") found[name] = {choices: frame.categories[name], start: frame.categories[name][0]};
    else if (sample) found[name] = ofSample(sample.columns[name]);
    else if (frame.polynomials[name]) found[name] = ofPolynomials(frame.polynomials[name]);
    else found[name] = {start: 0};
  }
  return sample ? found : {...found, ...(await ofMeans(document, found))};
}

function ofSample(values) {
  const numbers = values.filter((value) => value !== null).sort((a, b) => a - b);
  const [low, high] = extent(numbers);
  const middle = numbers[Math.floor(numbers.length / 2)] ?? low;
  return {low, high, start: low < high ? Math.min(high, Math.max(low, rounded(middle, high - low))) : low};
}

const ofPolynomials = ({centre, reach, scale}) => ({low: centre - reach * scale, high: centre + reach * scale, start: centre});

/**
 * The contribution of a column to the prediction of 0 is minus its estimate times its mean, and the standard error of its estimate
 * tells how far it spreads beside the other columns.
 */
async function ofMeans({model, version, schema, fit}, known) {
  const unknown = schema.features.map(({name}) => name).filter((name) => known[name].start === 0 && known[name].low === undefined);
  const rows = fit.coefficients.filter((row) => row.target === schema.targets[0]);
  const usable = unknown.flatMap((name) => rows.filter((row) => termOf(name) === row.term && row.estimate).map((row) => [name, row]));
  if (!usable.length || fit.residual_std === null) return {};
  const zero = Object.fromEntries(schema.features.map(({name}) => [name, known[name].start]));
  const body = {model, version, instances: [{...zero, ...Object.fromEntries(unknown.map((name) => [name, 0]))}], contributions: true};
  const {contributions} = await send("POST", "/predict", {json: body}).catch(untold);
  if (!contributions) return {};
  return Object.fromEntries(usable.flatMap(([name, row]) => {
    const mean = -[contributions[row.term][0]].flat()[0] / row.estimate;
    const spread = ([fit.residual_std].flat()[0] ?? NaN) / (row.std_error * Math.sqrt(fit.n));
    if (!Number.isFinite(mean + spread) || !(spread > 0)) return Number.isFinite(mean) ? [[name, {start: rounded(mean, mean)}]] : [];
    const [low, high] = [mean - SPREADS * spread, mean + SPREADS * spread];
    return [[name, {low: rounded(low, spread), high: rounded(high, spread), start: rounded(mean, spread)}]];
  }));
}

/** A version that has forgotten its moments tells no contributions; that is no reason to predict nothing. */
function untold(error) {
  if (error.errors?.contributions) return {};
  throw error;
}

/** A feature's name as it is written as a term. */
const termOf = (name) => (/^[\p{L}_][\p{L}\p{N}_.]*$/u.test(name) ? name : `\`${name.replaceAll("`", "``")}\``);

/** A value to two digits of its spread. */
function rounded(value, spread) {
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(spread) || 1)) - 1);
  return Number((Math.round(value / unit) * unit).toPrecision(12));
}
