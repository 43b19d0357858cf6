"""The GPU's kernels without a GPU: run by Triton's interpreter, and compiled for real cards."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
import torch

from making_stores import moved
from stresnet.flow import AUTHORS, OPENCV_CPU, TVL1Parameters, grey, torch_kernel
from stresnet.flow.torch_kernel import flow_on_device

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="there is no Triton for this machine"
)
CARDS = (80, 90, 100)  # compute capabilities, times 10: A100, H100, B200


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Any]]:
    """Call a function in a new process: Triton decides at its import whether it interprets."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda function, *given: pool.submit(function, *given).result()


def test_interpreted_it_is_the_plain_kernel(
    elsewhere: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    frames = grey(moved(np.array([(0, 0), (1, 0), (1, 0)]), 20, 31))  # the second pair ends soon
    sets = (
        replace(AUTHORS, scales=2, warps=1, iterations=4),
        replace(OPENCV_CPU, scales=1, warps=1, iterations=5, median_every=3),
    )
    for parameters, found in zip(sets, elsewhere(interpreted, frames, sets), strict=True):
        plain = flow_on_device(frames, parameters, torch.device("cpu"))
        assert plain[0].any() and not plain[1].any()
        np.testing.assert_allclose(found, plain, atol=1e-5)


def interpreted(frames: Any, sets: Sequence[TVL1Parameters]) -> list[Any]:
    from stresnet.flow.triton_kernel import FusedStep, linearise

    torch_kernel.kernels = lambda like: (linearise, FusedStep(like))
    return [flow_on_device(frames, parameters, torch.device("cpu")) for parameters in sets]


@pytest.mark.slow
def test_it_compiles_for_cards_that_are_not_here(
    elsewhere: Callable[..., Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    sizes = elsewhere(compiled_sizes)
    assert len(sizes) == 3 * len(CARDS) and min(sizes) > 1000


def compiled_sizes() -> list[int]:
    """Bytes of each kernel's machine code for each card."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from stresnet.flow import triton_kernel

    numbers = {"n": "i32", "height": "i32", "width": "i32", "ended": "*i32"}
    numbers |= dict.fromkeys(("reach", "theta", "rate", "cubic"), "fp32")
    constants = {"BLOCK": triton_kernel.BLOCK, "PARTS": 64, "FLAT": 1e-7}
    kernels = [
        (triton_kernel._step, {}),
        (triton_kernel._linearise, {"BLACK": True}),
        (triton_kernel._linearise, {"BLACK": False}),
    ]
    sizes = []
    for kernel, more in kernels:
        fixed = {name: (constants | more)[name] for name in kernel.arg_names if name.isupper()}
        types = {name: numbers.get(name, "*fp32") for name in kernel.arg_names}
        source = ASTSource(kernel, types | dict.fromkeys(fixed, "constexpr"), fixed)
        for card in CARDS:
            made = compile(source, target=GPUTarget("cuda", card, 32), options={"num_warps": 4})
            sizes.append(len(made.asm["cubin"]))
    return sizes
