"""What others may build on."""

import subprocess
import sys

import pytest

import stresnet


def test_every_public_name_is_there() -> None:
    assert sorted(stresnet.__all__) == stresnet.__all__
    for name in stresnet.__all__:
        assert callable(getattr(stresnet, name))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = stresnet.nonsense


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, stresnet.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stresnet", "--help"], capture_output=True, text=True, check=True
    )
    for verb in ("prepare", "train", "evaluate", "predict", "demo", "distil"):
        assert verb in done.stdout
