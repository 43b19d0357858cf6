"""Where chunks lie in time (paper, sections 3.2 and 4.1).

A chunk at frame f is RGB frame f together with the L = 10 flow fields f-5 … f+4. Flow field k leads
from frame k to frame k + 1, so these fields span the 11 frames f-5 … f+5 and f is their exact
middle. All indices here are 0-based: a video of N frames has flow fields 0 … N-2, and its valid
centres are 5 … N-6.

Videos shorter than L + 1 frames are padded symmetrically in time, as the paper says, at both ends
alike and no further than L + 1 frames. One centre is then valid, the middle frame N // 2, which is
a real frame; the flow fields missing around it are the mirror sequence of the existing ones
(`reflect`). As in the authors' code the mirrored fields are repeated as they are, not negated, so
the motion plays again rather than backwards. The authors pad the end only; their joint RGB and flow
loader does not pad at all and fails below 11 frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stresnet.errors import UsageError
from stresnet.flow.quantize import FLOW_FIELDS

HALF = FLOW_FIELDS // 2

Indices = NDArray[np.int64]


def flow_indices(centres: Indices | int) -> Indices:
    """Flow fields of the chunks at `centres`: shape (...) -> (..., L), not yet reflected."""
    return np.asarray(centres, dtype=np.int64)[..., None] + np.arange(-HALF, HALF)


def reflect(indices: Indices | int, length: int) -> Indices:
    """Map indices outside 0 … length-1 back inside by symmetric padding, the edge repeated.

    For length 3: … 1 0 | 0 1 2 | 2 1 0 | 0 1 …, any distance away.

    Raises:
        UsageError: `length` is less than 1.
    """
    if length < 1:
        raise UsageError(f"a sequence of {length} elements cannot be reflected; expected 1 or more")
    phase = np.asarray(indices, dtype=np.int64) % (2 * length)
    return np.minimum(phase, 2 * length - 1 - phase)


def valid_centres(num_frames: int) -> tuple[int, int]:
    """First and last frame (inclusive) that a chunk can be centred on.

    Raises:
        UsageError: `num_frames` is less than 1.
    """
    if num_frames < 1:
        raise UsageError(f"a video of {num_frames} frames has no chunks; expected 1 frame or more")
    if num_frames <= FLOW_FIELDS:
        return num_frames // 2, num_frames // 2
    return HALF, num_frames - 1 - HALF


def training_centres(
    num_frames: int, chunks: int, tau_range: tuple[int, int], rng: np.random.Generator
) -> Indices:
    """Draw T = `chunks` centres, tau frames apart, from a random start: (T,) frame numbers.

    tau is uniform on lo … hi (both included), the start uniform over all places where the chunks
    fit. Where they do not fit at this tau, the stride is reduced (paper, section 4.1) until the
    chunks lie evenly over the video. One chunk alone lies anywhere, as in the base streams.

    The authors' code draws tau once per sub-batch (`ChunkSettings.tau_group`) and lets a video
    start at multiples of tau only, never at the first one (an off-by-one); here all starts occur.

    Raises:
        UsageError: `chunks` or tau is less than 1, or `tau_range` is upside down.
    """
    _check_chunks(chunks)
    first, last = valid_centres(num_frames)
    tau = draw_tau(tau_range, rng)
    latest_start = last - tau * (chunks - 1)
    if latest_start < first:
        return _evenly(first, last, chunks)
    start = int(rng.integers(first, latest_start, endpoint=True))
    return start + tau * np.arange(chunks, dtype=np.int64)


def draw_tau(tau_range: tuple[int, int], rng: np.random.Generator) -> int:
    """A stride in frames, uniform on the range, both ends included.

    Raises:
        UsageError: tau is less than 1, or the range is upside down.
    """
    lowest, highest = tau_range
    if not 1 <= lowest <= highest:
        raise UsageError(f"tau from {lowest} to {highest}: expected 1 <= lowest <= highest")
    return int(rng.integers(lowest, highest, endpoint=True))


def testing_centres(num_frames: int, chunks: int = 25) -> Indices:
    """Spread `chunks` centres evenly from the first valid one to the last (paper, section 4.1).

    Returns (chunks,) frame numbers, never decreasing; videos with fewer valid centres repeat some,
    so the count never varies.

    Raises:
        UsageError: `chunks` is less than 1.
    """
    _check_chunks(chunks)
    return _evenly(*valid_centres(num_frames), chunks)


def tested_fields(num_frames: int, chunks: int) -> Indices:
    """Numbers of the flow fields that chunks at `testing_centres` use, each once, increasing."""
    fields = flow_indices(testing_centres(num_frames, chunks))
    return np.unique(reflect(fields, max(num_frames - 1, 1)))


def _evenly(first: int, last: int, count: int) -> Indices:
    """`count` whole numbers from `first` to `last`, as equally spaced as rounding allows."""
    if count == 1:
        return np.array([(first + last) // 2], dtype=np.int64)
    steps = count - 1
    # Whole numbers, halves rounded up: float rounding could differ from machine to machine.
    return first + (2 * np.arange(count, dtype=np.int64) * (last - first) + steps) // (2 * steps)


def _check_chunks(chunks: int) -> None:
    if chunks < 1:
        raise UsageError(f"{chunks} chunks asked for; expected 1 or more")
