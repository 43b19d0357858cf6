"""Flow fields in Middlebury's `.flo` files (Baker et al., IJCV 2011).

All little-endian: the float 202021.25, whose bytes read "PIEH"; width and height as 32-bit
integers; then row by row, pixel by pixel, x and y in pixels as 32-bit floats. Beyond 10^9 px means
unknown, which is NaN here.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stresnet.errors import DatasetError, UsageError
from stresnet.files import atomic_write

MAGIC = b"PIEH"
HEADER = 12  # bytes
BEYOND_IS_UNKNOWN = 1e9
UNKNOWN = 1e10  # what is written


def read_flo(path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """Read a `.flo` file: (2, H, W) float32, x then y, pixels per frame; both NaN where unknown.

    Raises:
        DatasetError: the file cannot be read, or is not a whole `.flo` file.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}", remedy="give a .flo file") from error
    width, height = np.frombuffer(content[4:HEADER].ljust(8, b"\0"), "<i4").tolist()
    if content[:4] != MAGIC or min(width, height) < 1:
        raise DatasetError(f"{path}: not a .flo file", remedy="give Middlebury's format")
    expected = HEADER + 8 * width * height
    if len(content) != expected:
        raise DatasetError(
            f"{path}: {len(content)} bytes, not the {expected} of {width}x{height} pixels",
            remedy="copy it again",
        )
    pixels = np.frombuffer(content, "<f4", offset=HEADER).reshape(height, width, 2)
    flow = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
    # Not `> 10^9`: a NaN in the file is unknown too.
    known = (np.abs(flow) <= BEYOND_IS_UNKNOWN).all(axis=0)
    return np.where(known, flow, np.float32(np.nan))


def write_flo(path: str | os.PathLike[str], flow: npt.NDArray[np.float32]) -> None:
    """Write (2, H, W), x then y, pixels per frame, NaN where unknown, as a `.flo` file.

    Raises:
        UsageError: another shape.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    if flow.ndim != 3 or flow.shape[0] != 2 or 0 in flow.shape:
        raise UsageError(
            f"flow has shape {flow.shape}, not (2, H, W)", remedy="give one pair's flow"
        )
    _, height, width = flow.shape
    known = np.isfinite(flow).all(axis=0)
    pixels = np.where(known, flow, UNKNOWN).transpose(1, 2, 0).astype("<f4")
    with atomic_write(Path(path)) as partial:
        header = MAGIC + np.array([width, height], "<i4").tobytes()
        partial.write_bytes(header + pixels.tobytes())
