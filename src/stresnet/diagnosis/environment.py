"""All examinations of the environment, one after the other; one that fails stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from stresnet.diagnosis.finding import Finding, broken
from stresnet.diagnosis.machine import compiler, disks, processor, shared_memory, video_card
from stresnet.diagnosis.packages import core_packages, extras, opencv, torchvision
from stresnet.diagnosis.smoke_tests import decoding, encoding, optical_flow

Examination = Callable[[], Iterator[Finding]]


def examine_environment(folder: Path = Path()) -> tuple[Finding, ...]:
    """Look at everything that stresnet needs or can use; this takes seconds.

    Nothing is written but the optical flow's machine code, where it is not kept yet.

    Args:
        folder: where results would go.
    """
    examinations: Mapping[str, Examination] = {
        "packages": core_packages,
        "processor": processor,
        "video card": video_card,
        "decoding": decoding,
        "encoding": encoding,
        "optical flow": optical_flow,
        "compiler": compiler,
        "disk": partial(disks, folder),
        "shared memory": shared_memory,
        "opencv": opencv,
        "torchvision": torchvision,
        "extras": extras,
    }
    return tuple(
        finding for topic, examine in examinations.items() for finding in examined(topic, examine)
    )


def examined(topic: str, examine: Examination) -> Iterator[Finding]:
    """The findings; what goes wrong meanwhile is one itself.

    A broken library may raise anything when it is imported, so anything is caught.
    """
    try:
        yield from examine()
    except Exception as error:
        lines = str(error).splitlines() or [""]
        yield broken(
            topic,
            f"{type(error).__name__}: {lines[0]}",
            "mend or install again the package that the message names: "
            "pip install --force-reinstall PACKAGE",
        )
