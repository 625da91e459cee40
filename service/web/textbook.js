// The five textbook runs of gradient descent, as tests/test_textbook.py has them: their data, what is asked, and what to look for.

const range = (count, at) => Array.from({length: count}, (_, i) => at(i));
const LINE = range(11, (i) => i);
const HUNDRED = range(99, (i) => i + 1);
const SLOPE = range(61, (i) => (i - 30) / 10);
// -3 x + noise of standard deviation 0.5
const NOISY = [
  8.674104423694155, 8.61264135383711, 9.231861995695597, 8.429573874916128, 6.979301352707678, 7.497398367914034, 6.888268129505803,
  6.974315761626013, 5.795906107906806, 6.420885938438427, 6.117690459368728, 6.487813015715731, 5.5583225082359515, 5.355273330848821,
  4.053441657517885, 5.6263645623620135, 3.242177221020849, 4.450900927911243, 3.4350479630630746, 2.8596767410361017, 2.6718574945354843,
  2.3639926596706724, 2.5900945461244964, 2.044970652360974, 2.541285581516928, 0.5851979882773246, 1.1984595176670747,
  0.4539721058392044, 0.9879359237290298, -0.759030021092534, -0.17184717504974056, -0.19491353633194908, -1.3421342919981756,
  -0.4073922085709061, -1.1106432854408022, -0.996571614646458, -1.3204075706627443, -2.589927283187338, -2.7988978789447696,
  -2.8016662428859513, -2.6260201370184326, -2.8745163545122288, -3.954842435354342, -4.2035985926276656, -4.598911457583264,
  -4.792119114578673, -4.918961688782364, -5.1659075238451315, -4.370942765751145, -5.953201829893215, -6.144362183514611,
  -6.070711135452987, -7.076537032784963, -7.084313574561205, -7.193340759419493, -7.112927026491367, -8.45800742937338,
  -7.41426527135649, -8.5762286829508, -8.615291789448186, -8.576455848032746,
];
const SEEDED = {weight: -0.44123914018719196, bias: -0.4526125726964687}; // nn.Linear(1, 1) drawn from seed 7 in float64

/**
 * The runs by key. x and y [n]; `solver`, `dtype` and `intercept` as `POST /train` takes them; `start` {weight, bias} where the
 * run begins (bias null without an intercept); `variants` the same run by other optimizers.
 */
export const RUNS = {
  a: {
    title: "A line through eleven points",
    says: "y = 2x + 1, x = 0 … 10; nn.Linear, MSELoss, SGD at 0.001, 100 epochs.",
    look: "The loss falls by the same part in each of the first forty epochs, until the slope is near 2; then hardly, because it depends "
      + "little on the intercept, which is still near 0 where it should be 1.",
    x: LINE, y: LINE.map((x) => 2 * x + 1), start: SEEDED,
    solver: {name: "sgd", learning_rate: 0.001, epochs: 100, seed: 7},
  },
  b: {
    title: "Ninety-nine points, by hand",
    says: "y = 20x + 6, x = 1 … 99; from w = b = 0 by w\u00a0-=\u00a0rate\u00a0·\u00a0gradient at 0.0001, 100 epochs, float32.",
    look: "The loss falls from 1,338,702 to 7.98 at epoch 15, then only by a hundredth every 15 epochs: the path has reached a long, "
      + "narrow valley.",
    x: HUNDRED, y: HUNDRED.map((x) => 20 * x + 6), start: {weight: 0, bias: 0}, dtype: "float32",
    solver: {name: "gradient_descent", learning_rate: 0.0001, epochs: 100, seed: 7, init: "zeros"},
  },
  c: {
    title: "Five points, a thousand steps",
    says: "x = 1 … 5, y = 0, −1.1, −1.8, −3.1, −4.5; the sum of squares, SGD at 0.001, 1,000 iterations.",
    look: "First straight down into the valley, then along its floor to a slope near −1 and an intercept near 0.9.",
    x: [1, 2, 3, 4, 5], y: [0, -1.1, -1.8, -3.1, -4.5], start: SEEDED,
    solver: {name: "sgd", learning_rate: 0.001, epochs: 1000, seed: 7, loss: "sse"},
  },
  d: {
    title: "The slope alone",
    says: "y = −3x + noise, x from −3 to 3; no bias, w starts at −10, SGD at 0.1, 4 epochs.",
    look: "Each tangent is flatter than the one before, so each step is shorter: four of them come close to the bottom of the parabola, "
      + "near w = −3.",
    x: SLOPE, y: NOISY, intercept: false, start: {weight: -10, bias: null},
    solver: {name: "sgd", learning_rate: 0.1, epochs: 4, seed: 7, init: {weight: [-10]}},
  },
  e: {
    title: "The same line by other optimizers",
    says: "Run A as a module whose optimizer and loss are chosen by name.",
    look: "Slope and intercept take steps of the same length, about the rate, so the path runs along the diagonal; with its momentum it "
      + "shoots past the minimum and turns back.",
    x: LINE, y: LINE.map((x) => 2 * x + 1), start: SEEDED,
    solver: {name: "adam", learning_rate: 0.1, epochs: 60, seed: 7},
    variants: {
      "Adam": {},
      "AdaGrad, Huber loss": {
        look: "The steps grow shorter as past gradients add up: eight of them reach the valley, and all others creep along its floor to "
          + "the minimum.",
        solver: {name: "adagrad", learning_rate: 0.5, epochs: 60, seed: 7, loss: "huber"},
      },
      "RMSprop, absolute loss": {
        look: "The steps keep their length however flat it gets, so the path crosses the floor of the valley to and fro. By the absolute "
          + "loss the contours have corners.",
        solver: {name: "rmsprop", learning_rate: 0.02, epochs: 60, seed: 7, loss: "l1"}, dtype: "float32",
      },
      "L-BFGS": {
        look: "The curvature is learned from the gradients, and each epoch takes several steps, each with a search along a line: the first "
          + "epoch ends at the minimum, and the path stays there.",
        solver: {name: "lbfgs", learning_rate: 1, epochs: 5, seed: 7},
      },
      "SGD": {
        look: "The path follows the steepest way: across the valley to a slope near 2, and then hardly along its floor. This is run A.",
        solver: {name: "sgd", learning_rate: 0.001, epochs: 100, seed: 7},
      },
      "SGD with momentum": {
        look: "The speed that is gathered on the way down carries the path beyond the valley and back, again and again, a little less far "
          + "each time.",
        solver: {name: "sgd", learning_rate: 0.001, epochs: 60, seed: 7, momentum: 0.9},
      },
    },
  },
};

/** The body of `POST /train` for a run, one of `RUNS` or a variant laid over it. */
export function requestOf(key, run) {
  return {
    model: `textbook-${key}`,
    instances: run.x.map((x) => [x]),
    targets: run.y,
    features: ["x"],
    solver: run.solver,
    dtype: run.dtype ?? "float64",
    intercept: run.intercept ?? true,
    history: true,
    sample: run.x.length,
    new_schema: true,
  };
}
