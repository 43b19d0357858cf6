"""Sixteen neighbouring floats at once: the vectors that TV-L1's compiled loops are written in.

    a = load(plane, (y, x))         plane[y, x : x + 16], one vector of float32
    b = a * a + HALF                +, -, *, / with a vector or a number, lane by lane
    store(plane, (y, x), b)

LLVM turns a vector into what the processor has: one register of AVX-512, two of AVX2, four of
NEON. Its own vectoriser gives up on loops over more than a few arrays, since they might overlap.

Every operation is rounded as IEEE 754 says, in the order written: no multiply-add is fused, no
sum reordered, no inverse estimated. So all processors give the same bytes, for up to 4 % of the
time (docs/decisions/0002-tv-l1-kernel.md).

Nothing is checked: arrays are float32 and contiguous along their last axis, and long enough for
whole vectors there (`whole_lanes`). For compiled code only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, models, overload, register_model

LANES = 16

Float32 = npt.NDArray[np.float32]
Lanes: TypeAlias = Any  # numba's, which mypy cannot see

FLOAT, INT, LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
FLOAT_BYTES = 4
VECTOR = ir.VectorType(FLOAT, LANES)


class LanesType(types.Type):
    """What numba calls such a vector."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    """How numba holds one: in a register."""

    def __init__(self, manager: Any, kind: LanesType) -> None:
        super().__init__(manager, kind, VECTOR)  # type: ignore[no-untyped-call]


A_VECTOR = LanesType()


def whole_lanes(length: int) -> int:
    """The next multiple of 16."""
    return -(-length // LANES) * LANES


def _constant(values: list[float]) -> Any:
    return ir.Constant(VECTOR, values)


def _repeated(builder: Any, value: Any, vector: Any) -> Any:
    """`value` on every lane of a `vector` type."""
    nothing = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(nothing, value, INT(0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(INT, LANES), [0] * LANES))


def _shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """Lanes 0 to 15 are a's, 16 to 31 are b's."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT, len(lanes)), lanes))


def _instruction(code: Callable[..., Any]) -> Any:
    """numba's own type of an intrinsic asks callers for the arguments that numba fills in."""
    return intrinsic(code)


def _lane_by_lane(emit: Callable[[Any, Any, Any], Any]) -> Any:
    """emit(builder, a, b) for two vectors, or for a vector and a number in either order."""

    def instruction(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            vectors = [
                value
                if isinstance(kind, LanesType)
                else _repeated(builder, context.cast(builder, value, kind, types.float32), VECTOR)
                for kind, value in zip(signature.args, values, strict=True)
            ]
            return emit(builder, *vectors)

        return A_VECTOR(a, b), generate

    return _instruction(instruction)


def _operator(symbol: Callable[[Any, Any], Any], emit: Callable[[Any, Any, Any], Any]) -> None:
    operate = _lane_by_lane(emit)

    def with_numba_types(a: Any, b: Any) -> Any:
        def with_values(a: Any, b: Any) -> Any:
            return operate(a, b)

        return with_values if LanesType in (type(a), type(b)) else None

    overload(symbol)(with_numba_types)


_operator(operator.add, lambda builder, a, b: builder.fadd(a, b))
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b))
_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))


def _select(sign: str) -> Callable[[Any, Any, Any], Any]:
    return lambda builder, a, b: builder.select(builder.fcmp_ordered(sign, a, b), a, b)


# The lesser or the greater of two, lane by lane.
lesser = _lane_by_lane(_select("<"))
greater = _lane_by_lane(_select(">"))


def _address(context: Any, builder: Any, kinds: Any, array: Any, index: Any) -> Any:
    kind, index_kind = kinds
    memory = context.make_array(kind)(context, builder, array)
    offset = LONG(0)
    for axis, number_kind in enumerate(index_kind):
        number = builder.extract_value(index, axis)
        whole = context.cast(builder, number, number_kind, types.int64)
        last = axis == kind.ndim - 1
        stride = LONG(FLOAT_BYTES) if last else builder.extract_value(memory.strides, axis)
        offset = builder.add(offset, builder.mul(whole, stride))
    base = builder.bitcast(memory.data, ir.IntType(8).as_pointer())
    return builder.bitcast(builder.gep(base, [offset]), VECTOR.as_pointer())


@_instruction
def load(typing: Any, array: Any, index: Any) -> Any:
    """The sixteen floats from array[index] on, wherever in the array's memory they lie."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vector = builder.load(_address(context, builder, signature.args, *values))
        vector.align = FLOAT_BYTES
        return vector

    return A_VECTOR(array, index), generate


@_instruction
def store(typing: Any, array: Any, index: Any, vector: Any) -> Any:
    """Put the vector at array[index] and the fifteen floats behind it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array, index, vector = values
        address = _address(context, builder, signature.args[:2], array, index)
        builder.store(vector, address).align = FLOAT_BYTES
        return context.get_dummy_value()

    return types.void(array, index, vector), generate


@_instruction
def zeros(typing: Any) -> Any:
    """0 on every lane."""
    return A_VECTOR(), lambda context, builder, signature, values: _constant([0.0] * LANES)


@_instruction
def leading(typing: Any, vector: Any, count: Any) -> Any:
    """The first `count` lanes of a vector, 0 on the others."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        numbers = ir.VectorType(INT, LANES)
        vector, count = values
        counts = _repeated(builder, builder.trunc(count, INT), numbers)
        within = builder.icmp_signed("<", ir.Constant(numbers, list(range(LANES))), counts)
        return builder.select(within, vector, _constant([0.0] * LANES))

    return A_VECTOR(vector, types.int64), generate


@_instruction
def root(typing: Any, vector: Any) -> Any:
    """The square root, lane by lane."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        name, kind = f"llvm.sqrt.v{LANES}f32", ir.FunctionType(VECTOR, [VECTOR])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, values)

    return A_VECTOR(vector), generate


@_instruction
def total(typing: Any, vector: Any) -> Any:
    """The sum of the lanes, float32: halves are added, then their halves, and so on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (sums,) = values
        for half in (8, 4, 2, 1):
            turned = _shuffled(builder, sums, sums, [(i + half) % LANES for i in range(LANES)])
            sums = builder.fadd(sums, turned)
        return builder.extract_element(sums, INT(0))

    return types.float32(vector), generate


@_instruction
def quarter_sums(typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Each vector's four quarters are added up: (a's sum, b's sum, c's sum, d's sum)."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        a, b, c, d = values
        evens, odds = [*range(4), *range(16, 20)], [*range(4, 8), *range(20, 24)]
        low = [lane for start in (0, 8) for lane in (e + start for e in evens)]
        high = [lane for start in (0, 8) for lane in (o + start for o in odds)]
        # First a and b, c and d, quarter beside quarter; then the halves of both.
        ab = builder.fadd(_shuffled(builder, a, b, low), _shuffled(builder, a, b, high))
        cd = builder.fadd(_shuffled(builder, c, d, low), _shuffled(builder, c, d, high))
        return builder.fadd(
            _shuffled(builder, ab, cd, [*range(8), *range(16, 24)]),
            _shuffled(builder, ab, cd, [*range(8, 16), *range(24, 32)]),
        )

    return A_VECTOR(a, b, c, d), generate


def _every_fourth(channel: int) -> Any:
    """Of four vectors in a row, lanes channel, channel + 4, channel + 8, ..."""

    def instruction(typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            picks = list(range(channel, 2 * LANES, 4))
            # 8 of a and b, 8 of c and d.
            halves = [
                _shuffled(builder, values[at], values[at + 1], picks + picks) for at in (0, 2)
            ]
            return _shuffled(builder, halves[0], halves[1], [*range(8), *range(16, 24)])

        return A_VECTOR(a, b, c, d), generate

    return _instruction(instruction)


first_of_four = _every_fourth(0)
second_of_four = _every_fourth(1)
third_of_four = _every_fourth(2)
