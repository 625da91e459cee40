// Numbers as people read them, and the few statistics that drawings need.

const MINUS = "−";

/** A number with sensible digits; nothing is a dash. */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-4)) return exponent(value, digits);
  const shown = new Intl.NumberFormat("en", {maximumSignificantDigits: Math.max(digits, Math.ceil(Math.log10(size + 1)))}).format(value);
  return shown.replace("-", MINUS);
}

function exponent(value, digits) {
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const raised = [...String(Number(power))].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
  const factor = {1: "", "-1": MINUS}[Number(mantissa)] ?? `${Number(mantissa)}·`;
  return `${factor}10${raised}`.replace("-", MINUS);
}

/** A p value: small ones as a bound. */
export const probability = (p) => (p === null || p === undefined ? "–" : p < 1e-4 ? "< 0.0001" : p.toFixed(4));

/** A time as this reader writes it. */
export const moment = (text) => new Date(text).toLocaleString(undefined, {dateStyle: "medium", timeStyle: "short"});

/** [least, greatest] of the finite among `values`. */
export function extent(...values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values.flat(Infinity)) {
    if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  return low <= high ? [low, high] : [0, 1];
}

/** An extent made wider by a share of itself on both sides, and to `size` 1 where it is a single value. */
export function wider([low, high], share = 0.05) {
  const more = (high - low) * share || Math.abs(low) * 0.1 || 1;
  return [low - more, high + more];
}

/** An extent of positive numbers made wider by a factor on both sides, as a logarithmic scale needs it. */
export const farther = ([low, high], factor = 1.25) => [low / factor, high * factor];

/** `count` numbers from `low` to `high`, evenly spaced. */
export const spaced = (low, high, count) => Array.from({length: count}, (_, i) => low + ((high - low) * i) / (count - 1));

/** Round values within [low, high], about `count` of them. */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough * 0.7);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Quantile of the standard normal distribution (Acklam's approximation, to 1e-9 relative). */
export function normalQuantile(p) {
  const a = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239];
  const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572];
  const c = [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783];
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
  const horner = (terms, x) => terms.reduce((sum, term) => sum * x + term, 0);
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return horner(c, q) / (horner(d, q) * q + 1);
  }
  const q = p - 0.5;
  const r = q * q;
  return (horner(a, r) * q) / (horner(b, r) * r + 1);
}
