// From data to pixels.

import {number, ticks} from "./numbers.js";

/** A map of [low, high] to [from, to]; `.invert` is the way back, `.ticks(count)` round values, `.format` how they are written. */
export function scale([low, high], [from, to]) {
  const slope = (to - from) / (high - low || 1);
  const map = (value) => from + (value - low) * slope;
  return Object.assign(map, {
    domain: [low, high],
    range: [from, to],
    invert: (pixel) => low + (pixel - from) / slope,
    ticks: (count) => ticks(low, high, count),
    format: (value) => number(value, 6),
  });
}

/** The same for positive values on a logarithmic scale. */
export function logScale([low, high], [from, to]) {
  const inner = scale([Math.log10(low), Math.log10(high)], [from, to]);
  const map = (value) => inner(Math.log10(value));
  return Object.assign(map, {
    domain: [low, high],
    range: [from, to],
    invert: (pixel) => 10 ** inner.invert(pixel),
    ticks: (count) => powers(low, high, count),
    format: (value) => number(value, 3),
  });
}

/** Powers of ten within [low, high], thinned to about `count`; with 2 and 5 between where there are few. */
function powers(low, high, count) {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first) / count));
  const factors = last - first < 2 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = first - 1; power <= last; power++) {
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9) && (power - first) % every === 0) found.push(value);
    }
  }
  return found.length ? found : [low];
}
