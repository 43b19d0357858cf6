"""Whether stresnet works here: versions, FFmpeg, optical flow, the network and its device.

What other tools report is left to them: `pip check` (packages that do not fit together) and
`python -m torch.utils.collect_env` (hardware, drivers, compilers).
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import distributions, version
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from stresnet.device import gpu, resolve_device, resolve_precision
from stresnet.files import ASSETS

if TYPE_CHECKING:
    import torch

SHOWN = ("stresnet", "torch", "numpy", "av", "numba")
# CVE-2026-8461: a crafted video runs code. By release series, the first release without it.
SAFE_FFMPEG = {5: (5, 1, 10), 6: (6, 1, 6), 7: (7, 1, 5), 8: (8, 1, 2)}
REINSTALL_AV = "pip install --force-reinstall --only-binary av av"
SHIFT = 3  # px
GOOD_FLOW = 0.1  # px


class State(StrEnum):
    """How well one thing works."""

    FINE = "fine"
    LIMITED = "limited"  # everything else works
    BROKEN = "broken"  # stresnet cannot be used before it is fixed


@dataclass(frozen=True)
class Finding:
    """What was found about `topic`; `remedy` fixes what is limited or broken."""

    topic: str
    state: State
    says: str
    remedy: str = ""


Found: TypeAlias = tuple[State, str, str]  # of a `Finding`, all but the topic
Check: TypeAlias = Callable[[], Found | None]  # None: nothing to tell


def examine_environment() -> tuple[Finding, ...]:
    """Try everything that stresnet needs, which takes seconds; a failure ends only its check."""
    tried = ((topic, _guarded(check)) for topic, check in CHECKS)
    return tuple(Finding(topic, *found) for topic, found in tried if found)


def _guarded(check: Check) -> Found | None:
    """Turn any exception into a finding: a broken library may raise anything when imported."""
    try:
        return check()
    except Exception as error:
        lines = str(error).splitlines() or [""]
        fix = "reinstall the package that the message names: pip install --force-reinstall PACKAGE"
        return State.BROKEN, f"{type(error).__name__}: {lines[0]}", fix


def versions() -> Found:
    """Name the versions that a bug report needs."""
    shown = ", ".join(f"{name} {version(name)}" for name in SHOWN)
    more = "for more: pip check; python -m torch.utils.collect_env"
    return State.FINE, f"Python {platform.python_version()}, {shown} ({more})", ""


def ffmpeg() -> Found:
    """Decode a clip that ships, and look for a release with a known hole, and for H.264."""
    import av

    from stresnet.data.video.decode import iter_frames

    next(iter_frames(min(ASSETS.glob("clips/*/*.mp4"))))
    found = f"{av.ffmpeg_version_info} (PyAV {av.__version__})"
    numbers = re.match(r"n?(\d+)\.(\d+)(?:\.(\d+))?", av.ffmpeg_version_info)
    release = tuple(int(number or 0) for number in numbers.groups()) if numbers else None
    if release is not None and release < SAFE_FFMPEG.get(release[0], (9,)):
        return State.BROKEN, f"{found}: a crafted video runs code (CVE-2026-8461)", REINSTALL_AV
    if "libx264" not in av.codecs_available:
        return State.LIMITED, f"{found}: cannot write H.264, which browsers play", REINSTALL_AV
    return State.FINE, f"{found}: decodes; writes H.264", ""


def optical_flow() -> Found:
    """Compute the flow of a texture that moves, and say where its machine code is cached."""
    from stresnet.flow.jit import cache_folder

    folder = cache_folder()
    fix = f"delete {folder}; if that does not help: pip install --force-reinstall numba llvmlite"
    try:
        error = flow_error("cpu")
    except Exception as reason:  # of the compiler, or because cached machine code is damaged
        return State.BROKEN, f"TV-L1 fails ({type(reason).__name__}: {reason})", fix
    if error > GOOD_FLOW:
        return State.BROKEN, f"TV-L1 misses a motion of {SHIFT} px by {error:.2f} px", fix
    if folder is None:
        return (
            State.LIMITED,
            "TV-L1 works, but its machine code cannot be cached: each process compiles it again",
            "set NUMBA_CACHE_DIR to a folder that can be written",
        )
    return State.FINE, f"TV-L1 works; its machine code is cached in {folder}", ""


def flow_on_gpu() -> Found | None:
    """Compute the same flow on the GPU, if there is one."""
    if gpu() is None or (error := flow_error("cuda")) <= GOOD_FLOW:
        return None
    return (
        State.LIMITED,
        f"TV-L1 on the GPU misses a motion of {SHIFT} px by {error:.2f} px",
        "reinstall torch, or its driver; until then, choose --device cpu",
    )


def flow_error(device: str) -> float:
    """Return how far TV-L1 is off, in px, on a texture that moves by `SHIFT` px."""
    from stresnet.flow import tv_l1

    row, column = np.mgrid[:48, : 64 + SHIFT]
    texture = 128 + 60 * np.sin(row / 3) * np.cos(column / 4) + 40 * np.sin(column / 7 + row / 5)
    wide = texture.astype(np.uint8)
    frames = np.stack([wide[:, SHIFT:], wide[:, :-SHIFT]])
    flow = tv_l1(frames, device=device)  # (1,2,48,64)
    return float(np.abs(np.median(flow[0], axis=(1, 2)) - (SHIFT, 0)).max())


def network() -> Found:
    """Run a small network on the device that "auto" stands for."""
    import torch

    from stresnet.inference import frozen
    from stresnet.model import STResNet

    device = resolve_device("auto")
    tested = frozen(STResNet(2, "tiny", input_size=32).to(device).eval())
    with torch.inference_mode():
        streams = tested(
            torch.rand(1, 2, 3, 32, 32, device=device), torch.rand(1, 2, 20, 32, 32, device=device)
        )
    name = card(device) if device.type == "cuda" else "the processor"
    runs = f"runs on {name} ({device}, {tested.precision}, torch {torch.__version__})"
    if not all(bool(scores.isfinite().all()) for scores in streams):
        return State.BROKEN, f"{runs} with wrong numbers", "reinstall torch, or its driver"
    if device.type == "cpu" and shutil.which("nvidia-smi"):
        return (
            State.LIMITED,
            f"{runs}, although this machine has an NVIDIA GPU",
            "install a CUDA build of torch (https://pytorch.org/get-started/locally), or update "
            "the driver; in a container, use --gpus all",
        )
    return State.FINE, runs, ""


def card(device: torch.device) -> str:
    """Name a GPU, and what decides how it is used."""
    import torch

    about = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    native = "native" if resolve_precision("auto", device) == "bf16" else "no"
    return (
        f"{about.name}: compute capability {about.major}.{about.minor}, {free / 2**30:.1f} of "
        f"{total / 2**30:.1f} GiB free, {native} bf16, built for CUDA {torch.version.cuda},"
    )


def opencv() -> Found | None:
    """Look for several OpenCV distributions: all are called cv2 and overwrite each other."""
    names = {str(each.metadata["Name"]).lower().replace("_", "-") for each in distributions()}
    found = sorted(name for name in names if name.startswith("opencv-"))
    if len(found) < 2:
        return None
    fix = f"pip uninstall -y {' '.join(found)}; pip install 'stresnet[idt]'"
    return State.LIMITED, f"{', '.join(found)} overwrite each other", fix


CHECKS: tuple[tuple[str, Check], ...] = (
    ("versions", versions),
    ("FFmpeg", ffmpeg),
    ("optical flow", optical_flow),
    ("optical flow", flow_on_gpu),
    ("network", network),
    ("OpenCV", opencv),
)
