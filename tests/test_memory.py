"""Memory that is freed stays with the process, if it is asked for and nobody chose otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROBE = """
import resource, sys, numpy
from stresnet.memory import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    numpy.full(2**26, 1, numpy.uint8)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(keep_memory(), faults(), faults())
"""


def probe(**environment: str) -> tuple[str, int, int]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"
    }
    said = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**inherited, "NUMPY_MADVISE_HUGEPAGE": "0", **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()
    return said[0], int(said[1]), int(said[2])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc alone is told")
def test_pages_are_fetched_once() -> None:
    kept, first, second = probe()
    assert kept == "True"
    assert second < first / 10


def test_the_user_s_choice_stays() -> None:
    kept, _, _ = probe(MALLOC_TRIM_THRESHOLD_="131072")
    assert kept == "False"
