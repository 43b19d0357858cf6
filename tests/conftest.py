"""Settings of all tests, and which of them state the laws (`make test-fast`)."""

import os
import signal
from pathlib import Path

import pytest

# Its threads do not survive a fork, and their number decides the last bits of a sum.
os.environ["OMP_NUM_THREADS"] = "1"  # before anything imports torch
# Tests compare numbers, and a processor that multiplies bfloat16 would round them.
os.environ["STRESNET_PRECISION"] = "fp32"
# A shell starts background jobs with Ctrl-C ignored, and nohup all with SIGHUP ignored; our
# children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Files whose tests need no worker process, no training run and no command line.
LAWS = {
    # the paper
    "test_augmentation",
    "test_motion_residual",
    "test_protocols",
    "test_quantize",
    "test_receptive_field",
    "test_recipes",
    "test_residual_unit",
    "test_sampling",
    "test_st_resnet",
    "test_stream",
    "test_sub_batch_norm",
    "test_temporal_convolution",
    # flow, and what surrounds the network (test_inference and test_weights take too long)
    "test_device",
    "test_files",
    "test_flow_colour",
    "test_flow_flo",
    "test_metrics",
    "test_open_dataset",
    "test_prefetch",
    "test_splits",
    "test_tv_l1",
}


def pytest_configure(config: pytest.Config) -> None:
    """What is not about a GPU is tested on the processor, also where there is one."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only laws are asked for, other files are not even imported: it takes seconds."""
    asked = config.option.markexpr.split(" ")[0] == "law"
    is_other = collection_path.suffix == ".py" and collection_path.stem not in LAWS
    return True if asked and is_other else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in LAWS:
            item.add_marker("law")
