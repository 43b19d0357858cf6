"""TV-L1 optical flow of a video: checks the frames, picks a kernel, spreads the pairs.

The energy is in `parameters`; each kernel solves it coarse to fine. A level of the pyramid starts
from the flow of the coarser one; each of its warps linearises the data term at the flow so far
and runs primal-dual iterations on it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from stresnet.device import gpu
from stresnet.errors import UsageError
from stresnet.flow.parameters import AUTHORS, TVL1Parameters
from stresnet.worker_process import worker_number
from stresnet.workers import cores


def tv_l1(
    frames: npt.ArrayLike,
    *,
    parameters: TVL1Parameters = AUTHORS,
    device: str = "auto",
    threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Flow from each frame to the next (Zach, Pock, Bischof, DAGM 2007).

    Args:
        frames: (N, H, W) uint8 grey, an array or a tensor; N and H and W at least 1.
        parameters: AUTHORS, the default, as the paper's flow was made; OPENCV_CPU; FAST; or your
            own.
        device: see `stresnet.device`. On a GPU torch computes the same up to rounding: at most 0.02
            px on average.
        threads: pairs worked on at the same time; None: as many as there are cores. For the
            processor only. The result does not depend on it.

    Returns:
        (N-1, 2, H, W) float32, x then y, pixels per frame: frame i at x looks like frame i+1
        at x + flow[i, :, x].

    Raises:
        UsageError: frames of another type or shape, threads below 1, an unknown device.
        EnvironmentProblem: the device is not on this machine, or it is out of memory, busy or gone.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 3 or 0 in frames.shape:
        raise UsageError(
            f"frames are {frames.dtype} of shape {frames.shape}, not uint8 of shape (N, H, W)",
            remedy="convert RGB frames with stresnet.flow.grey",
        )
    if threads is not None and threads < 1:
        raise UsageError(
            f"threads is {threads}, not at least 1", remedy="leave it out for all cores"
        )
    frames = np.ascontiguousarray(frames)
    # Imported here: processes start sooner without torch and numba, where neither computes flow.
    if (on := gpu(device, worker=worker_number())) is not None:
        from stresnet.flow.torch_kernel import flow_on_device

        return flow_on_device(frames, parameters, on)

    from stresnet.flow.numba_kernel import flow_of_pair

    flow = np.empty((len(frames) - 1, 2, *frames.shape[1:]), np.float32)
    with ThreadPoolExecutor(threads or cores()) as pool:
        solved = pool.map(partial(flow_of_pair, p=parameters), frames[:-1], frames[1:])
        for i, pair in enumerate(solved):
            flow[i] = pair
    return flow


def kernel(device: str = "auto") -> dict[str, str]:
    """What computes the flow on this device, for the record of a store."""
    if (on := gpu(device, worker=worker_number())) is None:
        return {"numba": version("numba")}
    import torch

    name = torch.cuda.get_device_name(on) if on.type == "cuda" else on.type
    found = {"torch": torch.__version__, "flow_on": name}
    if on.type == "cuda" and find_spec("triton"):
        found["triton"] = version("triton")
    return found


def grey(frames: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """(N, H, W, 3) uint8 RGB -> (N, H, W) uint8 luma.

    Raises:
        UsageError: the frames are not uint8 or have another shape.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise UsageError(
            f"frames are {frames.dtype} of shape {frames.shape}, not uint8 of shape (N, H, W, 3)",
            remedy="give RGB frames, 0 to 255",
        )
    from stresnet.flow.numba_pyramid import write_luma  # here, as in `tv_l1`

    luma = np.empty(frames.shape[:-1], np.uint8)
    write_luma(np.ascontiguousarray(frames).reshape(-1, 3), luma.reshape(-1))
    return luma
