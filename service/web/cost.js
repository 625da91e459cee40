// What a line costs, as a function of (intercept, slope) or of the slope alone, and walks down it. Squared errors are a quadratic
// that the service knows exactly; other losses are summed over the rows.

/**
 * The mean squared error of `GET …/cost`, times `scale` (the number of rows for the sum of squares).
 *
 * Returns {at(b), gradient(b), minimum: [number], lowest, matrix}, where b is [slope] or [intercept, slope]. Values are taken from the
 * minimum, because the terms of constant + linear·b + b'·matrix·b may nearly cancel there.
 */
export function costOf({quadratic, minimum, least}, scale = 1) {
  const {constant, linear} = quadratic;
  const matrix = quadratic.matrix.map((row) => row.map((value) => value * scale));
  const times = (b) => matrix.map((row) => dot(row, b));
  const lowest = scale * (least ?? Math.max(constant + dot(linear, minimum) / 2, 0));
  const from = (b) => b.map((value, i) => value - minimum[i]);
  const at = (b) => lowest + dot(from(b), times(from(b)));
  const gradient = (b) => times(from(b)).map((value) => 2 * value);
  return {minimum, lowest, matrix, at, gradient};
}

/** The same for any loss of a request, over rows x, y [n]; `minimum`, `lowest` and `matrix` are null where it is no quadratic. */
export function costOfRows(x, y, {intercept = true, loss = "mse"} = {}) {
  if (loss in LOSSES) return summed(x, y, LOSSES[loss]);
  const scale = loss === "sse" ? x.length : 1;
  const products = (a, b) => mean(a.map((value, i) => value * b[i]));
  const [mx, my, xx, xy, constant] = [mean(x), mean(y), products(x, x), products(x, y), products(y, y)];
  if (!intercept) return costOf({quadratic: {constant, linear: [-2 * xy], matrix: [[xx]]}, minimum: [xy / xx]}, scale);
  const slope = (xy - mx * my) / (xx - mx * mx);
  const quadratic = {constant, linear: [-2 * my, -2 * xy], matrix: [[1, mx], [mx, xx]]};
  return costOf({quadratic, minimum: [my - slope * mx, slope]}, scale);
}

// By the name of a request: the loss of a residual, and its derivative; the mean is taken over the rows.
const LOSSES = {
  l1: [Math.abs, Math.sign],
  huber: [(r) => (Math.abs(r) <= 1 ? (r * r) / 2 : Math.abs(r) - 0.5), (r) => Math.max(-1, Math.min(1, r))],
};

function summed(x, y, [loss, slope]) {
  const residual = (b, i) => b.at(-1) * x[i] + (b.length > 1 ? b[0] : 0) - y[i];
  const at = (b) => mean(x.map((_, i) => loss(residual(b, i))));
  const gradient = (b) => {
    const slopes = x.map((_, i) => slope(residual(b, i)));
    const byWeight = mean(slopes.map((value, i) => value * x[i]));
    return b.length > 1 ? [mean(slopes), byWeight] : [byWeight];
  };
  return {at, gradient, minimum: null, lowest: null, matrix: null};
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The closed curve [[intercept, slope]] on which a quadratic cost has the value `level`: an ellipse about the minimum. */
export function ellipse(cost, level, points = 180) {
  const [[p, q], [, r]] = cost.matrix;
  // matrix = L L' (Cholesky), and b = minimum + sqrt(level - lowest) L'^-1 (cos, sin)
  const l11 = Math.sqrt(p);
  const l21 = q / l11;
  const l22 = Math.sqrt(Math.max(r - l21 * l21, Number.EPSILON * r));
  const radius = Math.sqrt(Math.max(level - cost.lowest, 0));
  return Array.from({length: points + 1}, (_, i) => {
    const angle = (2 * Math.PI * i) / points;
    const second = (radius * Math.sin(angle)) / l22;
    return [cost.minimum[0] + (radius * Math.cos(angle) - l21 * second) / l11, cost.minimum[1] + second];
  });
}

/** Levels of contours from the cost `highest` down towards `lowest`: above it, each is `part` of the one before. */
export function levels(highest, lowest, count = 9, part = 0.4) {
  const height = highest - lowest;
  return height > 0 ? Array.from({length: count}, (_, i) => lowest + height * part ** i) : [];
}

/**
 * The plain update b -= rate · gradient from `start` {weight, bias}, until `epochs` are over or the cost is `ruin` times the first.
 *
 * Returns the history [{epoch, loss, weight: [w], bias}] that the service would give.
 */
export function walk(cost, start, {rate, epochs, ruin = 1e4}) {
  let b = start.bias === null ? [start.weight] : [start.bias, start.weight];
  const first = cost.at(b);
  const history = [];
  for (let epoch = 0; epoch <= epochs && Number.isFinite(cost.at(b)); epoch++) {
    history.push({epoch, loss: cost.at(b), weight: [b.at(-1)], bias: start.bias === null ? null : b[0]});
    if (cost.at(b) > ruin * first) break;
    const gradient = cost.gradient(b);
    b = b.map((value, i) => value - rate * gradient[i]);
  }
  return history;
}

/** The parameters of an entry of a history as a cost takes them: [bias, weight], or [weight] without an intercept. */
export const parametersOf = ({weight, bias}) => (bias === null ? [weight[0]] : [bias, weight[0]]);
