"""The 5x5 median of a flow component on one processor core, sixteen pixels at a time.

Of 25 values, 13 are not above their median. A window is five rows of five; each row is sorted,
rows are merged in pairs, and of two merged pairs only the six values in the middle can still be
the median, wherever those of the fifth row lie. Two windows above each other share four rows, and
so all but the last step.

Merging is Batcher's odd-even merge (1968). Values are compared on all sixteen lanes at once, so
the order of comparisons is fixed.
"""

from __future__ import annotations

import numpy as np

from stresnet.flow.compiled import compiled, inlined
from stresnet.flow.lanes import LANES, Float32, Lanes, greater, leading, lesser, load, store

Five = tuple[Lanes, Lanes, Lanes, Lanes, Lanes]
Ten = tuple[Lanes, ...]


@compiled
def median_filter(u: Float32, width: int) -> None:
    """Replace the first `width` columns of `u`, (H, whole lanes), by their medians.

    The border is repeated. Columns behind `width` become 0.
    """
    height = u.shape[0]
    rows = _with_border(u, width)
    # Window y has rows y to y+4 of `rows`. Windows 0, 2, ... leave rows y+3 and y+4 merged for
    # the next, whose rows y+1 and y+2 they are.
    merged = np.empty((10, u.shape[1]), np.float32)
    for x in range(0, width, LANES):
        _put(merged, x, _merged_fives(_row_of_windows(rows, 1, x), _row_of_windows(rows, 2, x)))
    for y in range(0, height, 2):
        for x in range(0, width, LANES):
            upper = _get(merged, x)
            lower = _merged_fives(_row_of_windows(rows, y + 3, x), _row_of_windows(rows, y + 4, x))
            _put(merged, x, lower)
            middle = _middle_six(upper, lower)
            median = _median_of_eleven(middle, _row_of_windows(rows, y, x))
            store(u, (y, x), leading(median, width - x))
            if y + 1 < height:
                median = _median_of_eleven(middle, _row_of_windows(rows, y + 5, x))
                store(u, (y + 1, x), leading(median, width - x))


@inlined
def _put(merged: Float32, x: int, ten: Ten) -> None:
    for i in range(10):
        store(merged, (i, x), ten[i])


@inlined
def _get(merged: Float32, x: int) -> Ten:
    return (
        load(merged, (0, x)),
        load(merged, (1, x)),
        load(merged, (2, x)),
        load(merged, (3, x)),
        load(merged, (4, x)),
        load(merged, (5, x)),
        load(merged, (6, x)),
        load(merged, (7, x)),
        load(merged, (8, x)),
        load(merged, (9, x)),
    )


@compiled
def _with_border(u: Float32, width: int) -> Float32:
    """A copy with its nearest pixel at two pixels to every side, three below."""
    height, pitch = u.shape
    rows = np.zeros((height + 5, pitch + LANES), np.float32)
    for y in range(height + 5):
        source = u[min(max(y - 2, 0), height - 1)]
        row = rows[y]
        for x in range(width):
            row[x + 2] = source[x]
        row[0] = row[1] = source[0]
        row[width + 2] = row[width + 3] = source[width - 1]
    return rows


@inlined
def _row_of_windows(rows: Float32, y: int, x: int) -> Five:
    """Row `y` of the windows around x to x+15, sorted."""
    a, b, c = load(rows, (y, x)), load(rows, (y, x + 1)), load(rows, (y, x + 2))
    return _sorted_five(a, b, c, load(rows, (y, x + 3)), load(rows, (y, x + 4)))


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
