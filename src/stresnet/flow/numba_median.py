"""The 5x5 median of a flow component on one processor core, sixteen pixels at a time.

Of 25 values, 13 are not above their median. A window is five rows of five; each row is sorted,
rows are merged in pairs, and of two merged pairs only the six values in the middle can still be
the median, wherever those of the fifth row lie. Two windows, one above the other, share four rows,
and so all but the last step. Each row is sorted once, and kept until no window has it any more.

Merging is Batcher's odd-even merge (1968). Values are compared on all sixteen lanes at once, so
the order of comparisons is fixed.
"""

from __future__ import annotations

import numpy as np

from stresnet.flow.jit import compiled, inlined
from stresnet.flow.simd import LANES, Float32, Lanes, greater, leading, lesser, load, store

Five = tuple[Lanes, Lanes, Lanes, Lanes, Lanes]
Ten = tuple[Lanes, ...]
# Sorted rows of windows: two windows, one above the other, have six in all.
KEPT = 6


@compiled
def median_filter(u: Float32, width: int) -> None:
    """Replace the first `width` columns of `u`, (H, whole lanes), by their medians.

    The border is repeated. Columns behind `width` become 0.
    """
    height, pitch = u.shape
    first, second = np.zeros((2, pitch + LANES), np.float32)
    # Rows are counted from two above the first: window y has rows y to y+4.
    fives = np.empty((KEPT, 5, pitch), np.float32)
    merged = np.empty((10, pitch), np.float32)
    for y in range(4):
        _with_border(u[min(max(y - 2, 0), height - 1)], width, first)
        for x in range(0, width, LANES):
            _put(fives[y], x, _sorted_window_row(first, x))
    for x in range(0, width, LANES):
        _put(merged, x, _merged_fives(_five(fives[1], x), _five(fives[2], x)))
    # Windows 0, 2, ... leave rows y+3 and y+4 merged for the next, whose rows y+1 and y+2 they are.
    for y in range(0, height, 2):
        _with_border(u[min(y + 2, height - 1)], width, first)
        _with_border(u[min(y + 3, height - 1)], width, second)
        top, third = fives[y % KEPT], fives[(y + 3) % KEPT]
        fourth, bottom = fives[(y + 4) % KEPT], fives[(y + 5) % KEPT]
        for x in range(0, width, LANES):
            row_4, row_5 = _sorted_window_row(first, x), _sorted_window_row(second, x)
            _put(fourth, x, row_4)
            _put(bottom, x, row_5)
            lower = _merged_fives(_five(third, x), row_4)
            middle = _middle_six(_ten(merged, x), lower)
            _put(merged, x, lower)
            store(u, (y, x), leading(_median_of_eleven(middle, _five(top, x)), width - x))
            if y + 1 < height:
                store(u, (y + 1, x), leading(_median_of_eleven(middle, row_5), width - x))


@inlined
def _with_border(pixels: Float32, width: int, row: Float32) -> None:
    """Copy `pixels` into `row`, with the outermost pixel repeated twice at either end."""
    for x in range(0, width, LANES):
        store(row, (x + 2,), load(pixels, (x,)))
    row[0] = row[1] = pixels[0]
    row[width + 2] = row[width + 3] = pixels[width - 1]


@inlined
def _sorted_window_row(row: Float32, x: int) -> Five:
    """The five pixels of each window around x to x+15, sorted."""
    a, b, c = load(row, (x,)), load(row, (x + 1,)), load(row, (x + 2,))
    return _sorted_five(a, b, c, load(row, (x + 3,)), load(row, (x + 4,)))


@inlined
def _put(rows: Float32, x: int, values: tuple[Lanes, ...]) -> None:
    for i in range(len(values)):
        store(rows, (i, x), values[i])


@inlined
def _five(rows: Float32, x: int) -> Five:
    return (
        load(rows, (0, x)),
        load(rows, (1, x)),
        load(rows, (2, x)),
        load(rows, (3, x)),
        load(rows, (4, x)),
    )


@inlined
def _ten(rows: Float32, x: int) -> Ten:
    a, b, c, d, e = _five(rows, x)
    return a, b, c, d, e, *_five(rows[5:], x)


@inlined
def _order(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    return lesser(a, b), greater(a, b)


@inlined
def _sorted_five(a: Lanes, b: Lanes, c: Lanes, d: Lanes, e: Lanes) -> Five:
    a, b = _order(a, b)
    d, e = _order(d, e)
    c, e = _order(c, e)
    c, d = _order(c, d)
    a, d = _order(a, d)
    a, c = _order(a, c)
    b, e = _order(b, e)
    b, d = _order(b, d)
    b, c = _order(b, c)
    return a, b, c, d, e


@inlined
def _merged_twos(a: tuple[Lanes, ...], b: tuple[Lanes, ...]) -> tuple[Lanes, ...]:
    first, second = _order(a[0], b[0])
    third, fourth = _order(a[1], b[1])
    second, third = _order(second, third)
    return first, second, third, fourth


@inlined
def _merged_threes(a: tuple[Lanes, ...], b: tuple[Lanes, ...]) -> tuple[Lanes, ...]:
    odd = _merged_twos((a[0], a[2]), (b[0], b[2]))
    even = _order(a[1], b[1])
    return odd[0], *_order(odd[1], even[0]), *_order(odd[2], even[1]), odd[3]


@inlined
def _merged_fives(a: Five, b: Five) -> tuple[Lanes, ...]:
    odd = _merged_threes((a[0], a[2], a[4]), (b[0], b[2], b[4]))
    even = _merged_twos((a[1], a[3]), (b[1], b[3]))
    return (
        odd[0],
        *_order(odd[1], even[0]),
        *_order(odd[2], even[1]),
        *_order(odd[3], even[2]),
        *_order(odd[4], even[3]),
        odd[5],
    )


@inlined
def _middle_six(a: tuple[Lanes, ...], b: tuple[Lanes, ...]) -> tuple[Lanes, ...]:
    """Ranks 8 to 13 of two sorted tens, sorted."""
    # a rises and b, read backwards, falls: the ten lesser ones rise and fall, and the greater
    # five of them lie five apart from the lesser five. The ten greater ones mirror them.
    _, _, eighth, ninth, tenth = _sorted_five(
        greater(lesser(a[0], b[9]), lesser(a[5], b[4])),
        greater(lesser(a[1], b[8]), lesser(a[6], b[3])),
        greater(lesser(a[2], b[7]), lesser(a[7], b[2])),
        greater(lesser(a[3], b[6]), lesser(a[8], b[1])),
        greater(lesser(a[4], b[5]), lesser(a[9], b[0])),
    )
    eleventh, twelfth, thirteenth, _, _ = _sorted_five(
        lesser(greater(a[0], b[9]), greater(a[5], b[4])),
        lesser(greater(a[1], b[8]), greater(a[6], b[3])),
        lesser(greater(a[2], b[7]), greater(a[7], b[2])),
        lesser(greater(a[3], b[6]), greater(a[8], b[1])),
        lesser(greater(a[4], b[5]), greater(a[9], b[0])),
    )
    return eighth, ninth, tenth, eleventh, twelfth, thirteenth


@inlined
def _median_of_eleven(six: tuple[Lanes, ...], five: Five) -> Lanes:
    """The sixth of six sorted values and five sorted values.

    It is the least number that, for some i, is not below i of the six and 6 - i of the five.
    """
    return lesser(
        lesser(
            lesser(greater(six[0], five[4]), greater(six[1], five[3])),
            lesser(greater(six[2], five[2]), greater(six[3], five[1])),
        ),
        lesser(greater(six[4], five[0]), six[5]),
    )
