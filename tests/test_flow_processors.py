"""The law that one video gives the same flow on all processors, to the bit."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys

import pytest

from making_videos import moving_texture
from stresnet.flow import OPENCV_CPU, grey, tv_l1


def digest_of_known_flow() -> str:
    """Of odd sizes, so that no loop ends with whole vectors; with medians and looks."""
    frames = grey(moving_texture(2, 75, 171, step=(3, 1)))
    flow = tv_l1(frames, parameters=OPENCV_CPU, threads=1)
    return hashlib.sha256(flow.tobytes()).hexdigest()


@pytest.mark.slow  # compiles
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names processors of this kind")
@pytest.mark.parametrize(
    ("name", "features"),
    [("x86-64-v3", "+avx2,+fma"), ("x86-64-v2", "+sse4.2")],
    ids=["with multiply-adds", "of 2008"],
)
def test_machine_code_for_other_processors_gives_the_same_bytes(
    name: str, features: str, tmp_path: object
) -> None:
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": name,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    code = "import test_flow_processors as law; print(law.digest_of_known_flow())"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == digest_of_known_flow()
