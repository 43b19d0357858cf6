"""Python packages: what is needed, what is extra, and what is in each other's way."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stresnet.diagnosis.finding import Finding, broken, fine, limited

SHOWN = ("stresnet", "torch", "numpy", "av", "numba")


def core_packages() -> Iterator[Finding]:
    """Those that stresnet cannot do without."""
    needed = [requirement for requirement, extra in _requirements() if not extra]
    if lacking := [requirement for requirement in needed if not _is_met(requirement)]:
        yield broken(
            "packages",
            ", ".join(f"{each.name} {_found(each.name)}" for each in lacking),
            _pip_install(*lacking),
        )
    else:
        versions = ", ".join(f"{name} {version(name)}" for name in SHOWN)
        yield fine("packages", f"Python {platform.python_version()}, {versions}")


def extras() -> Iterator[Finding]:
    """Those that some verbs can use."""
    for extra in dict.fromkeys(extra for _, extra in _requirements() if extra):
        lacking = [
            f"{requirement.name} {_found(requirement.name)}"
            for requirement, of in _requirements()
            if of == extra and not _is_met(requirement)
        ]
        topic = f"extra {extra}"
        if lacking:
            yield limited(topic, ", ".join(lacking), f"pip install 'stresnet[{extra}]'")
        else:
            yield fine(topic, "installed")


def opencv() -> Iterator[Finding]:
    """All its distributions are called cv2: the last one installed hides what the others had."""
    found = sorted({name for name in _installed() if name.startswith("opencv-")})
    if len(found) > 1:
        wanted = next((each for each, _ in _requirements() if each.name in found), None)
        yield limited(
            "opencv",
            f"{', '.join(f'{name} {version(name)}' for name in found)} overwrite each other",
            f"pip uninstall -y {' '.join(found)}; {_pip_install(wanted or found[0])}",
        )


def torchvision() -> Iterator[Finding]:
    """It must be built for the very torch beside it, and breaks whatever imports it if not."""
    if find_spec("torchvision") is None:
        return
    # In a process of its own: what is imported by half cannot be imported again.
    tried = subprocess.run(
        [sys.executable, "-c", "import torchvision"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        last = (tried.stderr.splitlines() or [f"exit code {tried.returncode}"])[-1]
        yield limited(
            "torchvision",
            f"cannot be imported beside torch {version('torch')} ({last}); stresnet does without "
            "it, but packages that import it fail",
            "pip uninstall -y torchvision, or install the one built for this torch",
        )


@cache
def _requirements() -> tuple[tuple[Requirement, str], ...]:
    """What stresnet requires, each with the extra that it is for, or ""."""
    found = []
    for line in requires("stresnet") or ():
        requirement = Requirement(line)
        marker = str(requirement.marker or "")
        extra = marker.partition("extra ==")[2].strip(" \"'")
        if extra or not marker or requirement.marker.evaluate():  # type: ignore[union-attr]
            found.append((requirement, extra))
    return tuple(found)


def _is_met(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def _found(name: str) -> str:
    try:
        return f"{version(name)} is too old or too new"
    except PackageNotFoundError:
        return "is not installed"


def _installed() -> Iterator[str]:
    for each in distributions():
        if name := each.metadata["Name"]:  # a damaged one has none
            yield canonicalize_name(name)


def _pip_install(*wanted: Requirement | str) -> str:
    quoted = " ".join(
        f"'{each.name}{each.specifier}'" if isinstance(each, Requirement) else each
        for each in wanted
    )
    return f"pip install {quoted}"
