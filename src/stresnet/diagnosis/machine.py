"""Processor, video card, compiler, disks."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stresnet.diagnosis.finding import Finding, fine, limited

GB = 1e9  # bytes
LITTLE_DISK = 2 * GB  # half an hour of prepared video
LITTLE_SHARED_MEMORY = 0.25 * GB  # a container has 64 MB, unless told otherwise


def processor() -> Iterator[Finding]:
    """Cores, vector units, memory, and the precision that training takes by default."""
    import torch

    from stresnet.training.runtime import precision_of
    from stresnet.workers import worker_count

    cores, _ = worker_count(None, sys.maxsize)
    vectors = torch.backends.cpu.get_cpu_capability()
    is_native = precision_of("auto", torch.device("cpu")) == "bf16-mixed"
    says = (
        f"{_processor_name()}, {cores} cores, {vectors}, "
        f"{'bfloat16 natively' if is_native else 'no native bfloat16: float32'}"
        f"{_memory()}"
    )
    if vectors in ("DEFAULT", "NO AVX"):
        yield limited("processor", says, "use a processor with AVX2; this one is slow")
    else:
        yield fine("processor", says)


def _processor_name() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(errors="replace").splitlines() if listed.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _memory() -> str:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return ""
    return f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / GB:.0f} GB memory"


def video_card() -> Iterator[Finding]:
    """CUDA devices; and a card that torch cannot use."""
    import torch

    topic, build = "video card", f"torch {torch.__version__}"
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            has_bf16 = card.major >= 8  # Ampere and later
            yield fine(
                topic,
                f"{card.name}, {card.total_memory / GB:.0f} GB, "
                f"{'bfloat16' if has_bf16 else 'no native bfloat16'}, {build}",
            )
    elif not has_nvidia_card():
        yield fine(topic, f"none that torch can use; the processor does all ({build})")
    elif torch.version.cuda is None:
        yield limited(
            topic,
            f"an NVIDIA card is here, but {build} is a build without CUDA",
            "install torch's CUDA build, see https://pytorch.org/get-started/locally",
        )
    else:
        yield limited(
            topic,
            f"an NVIDIA card is here, but {build} (CUDA {torch.version.cuda}) does not reach it",
            "update the driver until nvidia-smi lists the card; in a container, use --gpus all",
        )


def has_nvidia_card() -> bool:
    """Whether the system knows of one, whatever torch says."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def compiler() -> Iterator[Finding]:
    """What `torch.compile` needs on a processor: a C++ compiler and Python's headers."""
    topic = "torch.compile"
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    headers = Path(sysconfig.get_path("include"), "Python.h")
    lacking = []
    if shutil.which(name) is None:
        lacking.append(f"no C++ compiler ({name})")
    if not headers.is_file():
        lacking.append(f"no headers of Python ({headers})")
    if lacking:
        yield limited(
            topic,
            f"{' and '.join(lacking)}; --compile does not work on the processor",
            "install them, as by apt install g++ python3-dev, or leave --compile out",
        )
    else:
        yield fine(topic, f"{name} and Python's headers are here")


def disks(folder: Path) -> Iterator[Finding]:
    """Room and permission where results go, and where temporary files do."""
    places = {"disk": folder, "temporary files": Path(tempfile.gettempdir())}
    for topic, place in places.items():
        free = shutil.disk_usage(place).free
        says = f"{place.absolute()}: {free / GB:.1f} GB free"
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            yield limited(
                topic,
                f"{place.absolute()}: cannot be written ({error.strerror})",
                "work in another folder" if place is folder else "set TMPDIR to another folder",
            )
            continue
        if free < LITTLE_DISK:
            yield limited(topic, says, "make room; a minute of prepared video takes 60 MB")
        else:
            yield fine(topic, says)


def shared_memory() -> Iterator[Finding]:
    """Through which loader processes hand over what they loaded (Linux)."""
    place = Path("/dev/shm")
    if not place.is_dir():
        return
    free = shutil.disk_usage(place).free
    if free < LITTLE_SHARED_MEMORY:
        yield limited(
            "shared memory",
            f"{free / 1e6:.0f} MB in {place}; loader processes die of that",
            "start the container with --shm-size=2g, or train with --workers 0",
        )
    else:
        yield fine("shared memory", f"{free / GB:.1f} GB in {place}")
