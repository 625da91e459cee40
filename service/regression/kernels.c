/* The loops over single numbers beneath `narrow`, `wide`, `strays` and `row_digests`; `kernels.py` calls them with numpy's arrays.

Integers of at most 53 bits stand in doubles, and what is done to them has no rounding error: so results depend neither on the order of
operations nor on the compiler and the width of its vectors. Sizes and strides count elements. No function allocates or keeps a pointer,
or calls the C library.
*/

#include <stddef.h>
#include <stdint.h>

typedef ptrdiff_t size;

enum {
    STRIP = 512, /* numbers at a time: four kilobytes, which stay in the nearest cache */
    TALL = 32    /* rows at a time where columns are many: one after another they take a column's numbers from the same cache line */
};

static const double BASE = 0x1p22; /* of digits, which lie between -HALF and HALF: see `limbs.BITS` */
static const double HALF = 0x1p21;

typedef struct {
    const double *at;
    size row, column; /* strides */
} Matrix;

/* Design rows [1 X Y], each times its root where there are roots: that product is rounded, once. */
typedef struct {
    Matrix X, Y;
    const double *roots; /* or NULL */
    size features, targets, count;
} Rows;

/* The slices of rows, `slice` apart from one another, and rows `row` apart. With `evaluated` there are three, S_0 t^2 + S_1 t + S_2, in
five layers: at infinity, 2, 0, 1 and -1. */
typedef struct {
    double *at;
    size slices, slice, row, evaluated;
} Layers;

/* Numbers that have digits outside of the slices, each by its row times the number of columns plus its column: those too large for the
first slice or not finite, and what is left of others in units of the place after the last. Where rows are kept, theirs are counted. */
typedef struct {
    int64_t *above, *below;
    double *left;
    size aboves, belows, most; /* below */
    int64_t *rows;
    double *digits;
    size kept, room;
} Outside;

/* Digits outside of the slices, one element each, row by row; places count from the first that occurs. */
typedef struct {
    const int64_t *row, *column, *place;
    const double *digit;
    size count;
} Strays;

/* Where column `column` of [X Y] begins; `*step` from row to row. */
static const double *column_of(const Rows *rows, size column, size *step) {
    const Matrix *part = column < rows->features ? &rows->X : &rows->Y;
    if (column >= rows->features)
        column -= rows->features;
    *step = part->row;
    return part->at + column * part->column;
}

/* `count` numbers of one column of [1 X Y] from row `first` on, times its factor. */
static void load_column(const Rows *rows, size first, size column, size count, double factor, double *restrict out) {
    const double *roots = rows->roots;
    if (column == 0) {
        for (size i = 0; i < count; i++)
            out[i] = roots ? roots[first + i] * factor : factor;
        return;
    }
    size step;
    const double *from = column_of(rows, column - 1, &step) + first * step;
    if (roots)
        for (size i = 0; i < count; i++)
            out[i] = from[i * step] * roots[first + i] * factor;
    else if (step == 1)
        for (size i = 0; i < count; i++)
            out[i] = from[i] * factor;
    else
        for (size i = 0; i < count; i++)
            out[i] = from[i * step] * factor;
}

/* `count` numbers of one row of a part of [X Y] from `column` on, times the root of the row and then their factors. */
static void load_part(const Matrix *part, size row, size column, size count, double root, const double *factors, double *restrict out) {
    const double *from = part->at + row * part->row + column * part->column;
    size step = part->column;
    if (step == 1)
        for (size i = 0; i < count; i++)
            out[i] = from[i] * root * factors[i];
    else
        for (size i = 0; i < count; i++)
            out[i] = from[i * step] * root * factors[i];
}

static size least(size a, size b) { return a < b ? a : b; }

/* `count` numbers of one row of [1 X Y] from `column` on, times their factors. */
static void load_row(const Rows *rows, size row, size column, size count, const double *factors, double *out) {
    double root = rows->roots ? rows->roots[row] : 1.0;
    size end = column + count, targets = 1 + rows->features;
    factors += column;
    if (column == 0) {
        *out++ = root * *factors++;
        column = 1;
    }
    if (column < targets && column < end) {
        size taken = least(targets, end) - column;
        load_part(&rows->X, row, column - 1, taken, root, factors, out);
        column += taken, factors += taken, out += taken;
    }
    if (column < end)
        load_part(&rows->Y, row, column - targets, end - column, root, factors, out);
}

/* Move numbers too large for the first digit, or not finite, out of `rest`: the first stands at place `at`, others `step` further each. */
static void take_above(double *restrict rest, size count, size at, size step, Outside *outside) {
    int64_t found = 0;
    for (size i = 0; i < count; i++)
        found |= -(int64_t) !(__builtin_fabs(rest[i]) <= HALF);
    for (size i = 0; found && i < count; i++)
        if (!(__builtin_fabs(rest[i]) <= HALF)) {
            outside->above[outside->aboves++] = at + i * step;
            rest[i] = 0.0;
        }
}

/* Note what the slices leave; returns 0 where that is of more numbers than asked for. */
static int take_left(const double *restrict rest, size count, size at, size step, Outside *outside) {
    for (size i = 0; i < count; i++)
        if (rest[i] != 0.0) {
            if (outside->belows == outside->most)
                return 0;
            outside->left[outside->belows] = rest[i];
            outside->below[outside->belows++] = at + i * step;
        }
    return 1;
}

/* The digits of `slices` places; what is left then is in units of the place after them. Returns whether anything is. */
static inline __attribute__((always_inline)) int cut_places(double *rest, double *digits, size apart, size slices, size count) {
    int64_t found = 0;
#pragma clang loop vectorize(assume_safety)
    for (size i = 0; i < count; i++) {
        double left = rest[i];
        for (size place = 0; place < slices; place++) {
            double digit = __builtin_rint(left);
            digits[place * apart + i] = digit;
            left = (left - digit) * BASE;
        }
        rest[i] = left;
        found |= -(int64_t)(left != 0.0);
    }
    return found != 0;
}

static int cut_strip(double *rest, double *digits, size apart, size slices, size count) {
    switch (slices) { /* constants: a loop over them is unrolled */
    case 2:
        return cut_places(rest, digits, apart, 2, count);
    case 3:
        return cut_places(rest, digits, apart, 3, count);
    case 4:
        return cut_places(rest, digits, apart, 4, count);
    }
    for (; slices > 1; slices--, digits += apart)
        cut_places(rest, digits, apart, 1, count);
    return cut_places(rest, digits, apart, 1, count);
}

/* The layers of three slices, from their digits. */
static void evaluate(double (*restrict digits)[STRIP], double *layers, size apart, size count) {
#pragma clang loop vectorize(assume_safety)
    for (size i = 0; i < count; i++) {
        double first = digits[0][i], middle = digits[1][i], last = digits[2][i], ends = first + last;
        layers[i] = first;
        layers[apart + i] = 2.0 * (first + first + middle) + last;
        layers[2 * apart + i] = last;
        layers[3 * apart + i] = ends + middle;
        layers[4 * apart + i] = ends - middle;
    }
}

/* Cut rows, times a power of two for each column, into the digits of slices. Returns 0, half done, where more numbers than
`outside->most` have digits below these. */
int cut(const Rows *rows, const double *factors, const Layers *layers, Outside *outside) {
    outside->aboves = outside->belows = 0;
    size columns = 1 + rows->features + rows->targets;
    _Alignas(64) double rest[STRIP], three[3][STRIP];
    for (size first = 0; first < rows->count; first += TALL)
        for (size column = 0; column < columns; column += STRIP) {
            size length = least(STRIP, columns - column), end = least(first + TALL, rows->count);
            for (size row = first; row < end; row++) {
                size at = row * columns + column;
                double *digits = layers->at + row * layers->row + column;
                load_row(rows, row, column, length, factors, rest);
                take_above(rest, length, at, 1, outside);
                int left = layers->evaluated ? cut_strip(rest, three[0], STRIP, 3, length)
                                             : cut_strip(rest, digits, layers->slice, layers->slices, length);
                if (left && !take_left(rest, length, at, 1, outside))
                    return 0;
                if (layers->evaluated)
                    evaluate(three, digits, layers->slice, length);
            }
        }
    return 1;
}

/* Vectors, and how many rows by columns of a product are summed in registers at once. */
#if defined(__AVX512F__)
enum { LANES = 8, TILE = 4 };
#elif defined(__AVX__)
enum { LANES = 4, TILE = 3 };
#elif defined(__aarch64__)
enum { LANES = 2, TILE = 4 };
#else
enum { LANES = 2, TILE = 3 };
#endif
typedef double Vector __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

/* Add the products of two times TILE lines of digits [TILE][STRIP] to `sums`: 512 products of at most 2^42 stay below 2^53. */
static void add_tile(const double *left, const double *right, int64_t *sums, size order) {
#pragma clang fp contract(fast)
    Vector products[TILE][TILE] = {0};
    for (size k = 0; k < STRIP; k += LANES)
        for (size i = 0; i < TILE; i++)
            for (size j = 0; j < TILE; j++)
                products[i][j] += *(const Vector *)(left + i * STRIP + k) * *(const Vector *)(right + j * STRIP + k);
    for (size i = 0; i < TILE; i++)
        for (size j = 0; j < TILE; j++) {
            double sum = 0.0;
            for (size lane = 0; lane < LANES; lane++)
                sum += products[i][j][lane];
            sums[i * order + j] += (int64_t)sum;
        }
}

/* Keep the digits of the rows of a strip that begins at row `first` which have others outside of the slices, and let the numbers that
are noted since `above` and `below` name their rows by where these are kept. */
static void keep_digits(const double *stack, size slices, size columns, size first, size above, size below, Outside *outside) {
    int64_t kept_at[STRIP];
    for (size i = 0; i < STRIP; i++)
        kept_at[i] = -1;
    for (size i = above; i < outside->aboves; i++)
        kept_at[outside->above[i] / columns - first] = 0;
    for (size i = below; i < outside->belows; i++)
        kept_at[outside->below[i] / columns - first] = 0;
    for (size i = 0; i < STRIP; i++)
        if (kept_at[i] == 0) {
            kept_at[i] = outside->kept;
            outside->rows[outside->kept++] = first + i;
            for (size place = 0; place < slices; place++)
                for (size column = 0; column < columns; column++)
                    outside->digits[(place * outside->room + kept_at[i]) * columns + column] = stack[(place * columns + column) * STRIP + i];
        }
    for (size i = above; i < outside->aboves; i++)
        outside->above[i] += (kept_at[outside->above[i] / columns - first] - outside->above[i] / columns) * columns;
    for (size i = below; i < outside->belows; i++)
        outside->below[i] += (kept_at[outside->below[i] / columns - first] - outside->below[i] / columns) * columns;
}

/* Rows that are read next, where they lie one after another: from `at` to `end`, some lines of the cache for each tile. */
typedef struct {
    const double *at, *end;
    size lines;
} Ahead;

static Ahead ahead_of(const Rows *rows, size first, size tiles) {
    const Matrix *X = &rows->X;
    Ahead ahead = {X->at + first * X->row, X->at + least(first + STRIP, rows->count) * X->row, 0};
    if (X->column == 1 && X->row >= rows->features && X->row < 2 * rows->features)
        ahead.lines = (ahead.end - ahead.at) / 8 / tiles + 1;
    return ahead;
}

/* Cut rows as `cut` does, but into one strip after another, and add the products of all slices on top of each other to the lower triangle
of `sums` [order][order]. `stack` [order][STRIP] is room for the digits of a strip; `order` is a multiple of TILE, with zeros in the stack
beyond the slices. Rows with digits outside are kept: `outside->rows`, and their digits [slices][outside->room][columns]. */
int gram(const Rows *rows, const double *factors, size slices, double *stack, int64_t *sums, size order, Outside *outside) {
    size columns = 1 + rows->features + rows->targets;
    _Alignas(64) double rest[STRIP];
    outside->aboves = outside->belows = outside->kept = 0;
    for (size first = 0; first < rows->count; first += STRIP) {
        size length = least(STRIP, rows->count - first), above = outside->aboves, below = outside->belows;
        for (size column = 0; column < columns; column++) {
            size at = first * columns + column;
            load_column(rows, first, column, length, factors[column], rest);
            for (size i = length; i < STRIP; i++)
                rest[i] = 0.0;
            take_above(rest, length, at, columns, outside);
            if (cut_strip(rest, stack + column * STRIP, columns * STRIP, slices, STRIP) && !take_left(rest, length, at, columns, outside))
                return 0;
        }
        if (outside->aboves > above || outside->belows > below)
            keep_digits(stack, slices, columns, first, above, below, outside);
        Ahead ahead = ahead_of(rows, first + STRIP, order / TILE * (order / TILE + 1) / 2);
        for (size right = 0; right < order; right += TILE)
            for (size left = right; left < order; left += TILE) {
                for (size line = 0; line < ahead.lines && ahead.at < ahead.end; line++, ahead.at += 8)
                    __builtin_prefetch(ahead.at, 0, 2); /* into the second cache, while this tile is multiplied */
                add_tile(stack + left * STRIP, stack + right * STRIP, sums + left * order + right, order);
            }
    }
    return 1;
}

/* The digits of one row, slice by slice. */
static void digits_of_row(const Layers *layers, size columns, size row, double *restrict out) {
    for (size place = 0; place < layers->slices; place++, out += columns) {
        const double *from = layers->at + place * layers->slice + row * layers->row;
        if (layers->evaluated && place == 1) /* half of the value at 1 less that at -1 */
            for (size column = 0; column < columns; column++)
                out[column] = 0.5 * (from[2 * layers->slice + column] - from[3 * layers->slice + column]);
        else
            for (size column = 0; column < columns; column++)
                out[column] = from[column];
    }
}

/* The integer that a double below 2^51 is: the last bits of its sum with 3 * 2^51, whose unit in the last place is 1. */
static inline int64_t integer(double value) {
    const double magic = 0x1.8p52;
    double sum = value + magic;
    int64_t bits, zero;
    __builtin_memcpy(&bits, &sum, sizeof bits);
    __builtin_memcpy(&zero, &magic, sizeof zero);
    return bits - zero;
}

/* Add the products of strays with the slices of their rows to `mixed[place]` [slices][columns of the stray][columns], and those of the
strays of a row with one another to the lower triangle of `squares[place + place]` [columns][columns]; NULL where they are not wanted.
`row_digits` is room for the digits of a row. */
void multiply_strays(const Strays *strays, const Layers *layers, size columns, double *row_digits, int64_t **mixed, int64_t **squares) {
    size end;
    for (size start = 0; start < strays->count; start = end) {
        for (end = start; end < strays->count && strays->row[end] == strays->row[start]; end++)
            ;
        digits_of_row(layers, columns, strays->row[start], row_digits);
        for (size i = start; i < end; i++) {
            double digit = strays->digit[i];
            int64_t *into = mixed[strays->place[i]];
            for (size place = 0; into && place < layers->slices; place++) {
                int64_t *restrict line = into + (place * columns + strays->column[i]) * columns;
                const double *restrict with = row_digits + place * columns;
                for (size column = 0; column < columns; column++)
                    line[column] += integer(digit * with[column]);
            }
            for (size j = start; j < end; j++) {
                int64_t *square = squares[strays->place[i] + strays->place[j]];
                if (square && strays->column[j] <= strays->column[i])
                    square[strays->column[i] * columns + strays->column[j]] += integer(digit * strays->digit[j]);
            }
        }
    }
}

/* Add a matrix of integers of at most 53 bits to a sum, in the lower triangle; both [order][order]. */
void add_lower(int64_t *restrict sum, const double *restrict product, size order) {
    for (size row = 0; row < order; row++, sum += order, product += order)
        for (size column = 0; column <= row; column++)
            sum[column] += (int64_t)product[column];
}

/* SplitMix64's last step. */
static inline uint64_t scattered(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

/* The digests [count][2] of rows [X Y] with their weights, here in the place of roots: see `row_digests`. `multipliers` are
[1 + 2 (features + targets + 1)][4]. */
void digest_rows(const Rows *rows, const uint64_t *multipliers, uint64_t *digests) {
    size width = rows->features + rows->targets;
    _Alignas(64) uint64_t sums[4][STRIP], bits[STRIP];
    for (size first = 0; first < rows->count; first += STRIP, digests += 2 * STRIP) {
        size length = least(STRIP, rows->count - first);
        for (size hash = 0; hash < 4; hash++)
            for (size i = 0; i < length; i++)
                sums[hash][i] = multipliers[hash];
        for (size number = 0; number <= width; number++) {
            static const double one = 1.0;
            size step = rows->roots ? 1 : 0;
            const double *from = number < width ? column_of(rows, number, &step) : rows->roots ? rows->roots : &one;
            for (size i = 0; i < length; i++) {
                double value = from[(first + i) * step] + 0.0; /* -0 becomes 0 */
                __builtin_memcpy(bits + i, &value, sizeof value);
            }
            const uint64_t *lower = multipliers + 4 * (1 + 2 * number), *upper = lower + 4;
            for (size hash = 0; hash < 4; hash++)
                for (size i = 0; i < length; i++)
                    sums[hash][i] += lower[hash] * (bits[i] & UINT32_MAX) + upper[hash] * (bits[i] >> 32);
        }
        for (size i = 0; i < length; i++)
            for (size half = 0; half < 2; half++)
                digests[2 * i + half] = scattered((sums[half][i] >> 32 << 32) | sums[half + 2][i] >> 32);
    }
}
