"""What others may build on."""

import subprocess
import sys

import pytest

import stresnet


def test_every_public_name_is_there() -> None:
    assert sorted(stresnet.__all__) == stresnet.__all__
    for name in stresnet.__all__:
        assert getattr(stresnet, name) is not None
    assert set(stresnet.__all__) < set(dir(stresnet))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = stresnet.nonsense


def printed(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_help_does_not_wait_for_torch() -> None:
    assert printed("import sys, stresnet.cli; print('torch' in sys.modules)") == "False"


def test_a_public_name_costs_only_what_it_needs() -> None:
    """The flow alone needs no torch, nor anything an import of its own; numba waits for frames."""
    code = "import sys, stresnet; stresnet.flow.tv_l1; print({'torch', 'numba'} & set(sys.modules))"
    assert printed(code) == "set()"
    assert stresnet.flow.tv_l1.__name__ == "tv_l1"


def test_worker_processes_load_no_command_line() -> None:
    """They load the module that was started, for what it may define."""
    assert printed("import sys, stresnet.__main__; print('stresnet.cli' in sys.modules)") == "False"


def test_the_classifier_is_public_where_scikit_learn_is() -> None:
    pytest.importorskip("sklearn")
    assert stresnet.STResNetClassifier.__name__ == "STResNetClassifier"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stresnet", "--help"], capture_output=True, text=True, check=True
    )
    for verb in ("prepare", "train", "evaluate", "predict", "demo", "distil"):
        assert verb in done.stdout
