"""What others may build on: public names, their signatures, and what importing them costs.

`tests/public_names.txt` records all of them. After a change that is meant, renew it by

    python tests/test_public_names.py

and describe the change in CHANGELOG.md.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections import ChainMap
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import stresnet
from making_videos import moving_texture, write_video

SNAPSHOT = Path(__file__).with_name("public_names.txt")
MODULES = ("stresnet", "stresnet.errors", "stresnet.flow")


def described() -> Iterator[str]:
    """One line for each public name, and for each public attribute of a class."""
    for module in map(import_module, MODULES):
        defined = [n for n, each in vars(module).items() if _home(each) == module.__name__]
        names = getattr(module, "__all__", defined)
        for name in sorted(names):
            if not name.startswith("_"):
                yield from lines(f"{module.__name__}.{name}", getattr(module, name))


def _home(thing: object) -> str | None:
    return getattr(thing, "__module__", None)


def lines(path: str, thing: object) -> Iterator[str]:
    if isinstance(thing, ModuleType):
        yield f"{path}: module"
    elif inspect.isclass(thing):
        parents = ", ".join(each.__name__ for each in thing.__bases__ if each is not object)
        yield f"{path}{signature(thing)}" + (f": {parents}" if parents else "")
        inherited = [vars(each) for each in thing.__mro__ if each.__module__.startswith("stresnet")]
        for name, each in sorted(ChainMap(*inherited).items()):
            if isinstance(each, classmethod | staticmethod):
                each = each.__func__
            if not name.startswith("_") and inspect.isfunction(each):
                yield f"{path}.{name}{signature(each)}"
            elif not name.startswith("_") and isinstance(each, property | cached_property):
                yield f"{path}.{name}"
    elif callable(thing):
        yield f"{path}{signature(thing)}"
    else:
        yield f"{path}: {type(thing).__name__}"


def signature(thing: object) -> str:
    try:
        found = inspect.signature(thing)  # type: ignore[arg-type]
    except ValueError:  # of C, or an alias of a type
        return ""
    parameters = [
        each.replace(default=Name(each.default.__name__))
        if inspect.isroutine(each.default)
        else each
        for each in found.parameters.values()
    ]
    return str(found.replace(parameters=parameters)).replace("'", "")


class Name(str):
    """A default that is shown by its name."""

    __slots__ = ()
    __repr__ = str.__str__


def test_names_and_signatures_are_those_of_the_snapshot() -> None:
    expected, found = SNAPSHOT.read_text(encoding="utf-8").splitlines(), list(described())
    gone = [line for line in expected if line not in found]
    new = [line for line in found if line not in expected]
    assert (gone, new) == ([], []), (
        "public names changed. If that is meant, renew the snapshot by "
        "`python tests/test_public_names.py` and describe the change in CHANGELOG.md"
    )


def test_every_public_name_is_there() -> None:
    assert sorted(stresnet.__all__) == stresnet.__all__
    assert set(stresnet.__all__) < set(dir(stresnet))
    for name in stresnet.__all__:
        assert getattr(stresnet, name) is getattr(stresnet, name)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = stresnet.nonsense


def test_every_verb_is_a_function_of_its_name() -> None:
    from stresnet.cli import app

    verbs = {command.name or "" for command in app.registered_commands}
    # `import` is a keyword, and `stresnet.flow` the module.
    assert {verb for verb in verbs if not callable(getattr(stresnet, verb, None))} == {
        "import",
        "flow",
    }


def test_functions_take_what_their_verbs_take(tmp_path: Path) -> None:
    """A folder, a store, score files: by their paths, as strings."""
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "a.mp4", moving_texture(3, 64, 64))
    report = stresnet.prepare(f"{tmp_path}/clips", f"{tmp_path}/store", workers=1)
    assert list(report.done) == ["a.mp4"]
    assert stresnet.check(f"{tmp_path}/store").videos == 1
    assert list(stresnet.pack(f"{tmp_path}/store", f"{tmp_path}/shards").done) == ["a.mp4"]
    (tmp_path / "a.csv").write_text("name,left,right\na.mp4,1.0,0.0\n")
    assert stresnet.fuse([f"{tmp_path}/a.csv"] * 2).names == ("a.mp4",)


def printed(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "module", ["stresnet.cli", "stresnet.errors", "stresnet.prediction.recognise"]
)
def test_help_and_errors_do_not_wait_for_torch(module: str) -> None:
    assert printed(f"import sys, {module}; print('torch' in sys.modules)") == "False"


def test_what_results_are_made_of_is_known_without_torch() -> None:
    code = (
        "import sys, stresnet; stresnet.Prediction, stresnet.Timeline, stresnet.Segment, "
        "stresnet.recognise_each, stresnet.errors.VideoError; print('torch' in sys.modules)"
    )
    assert printed(code) == "False"


def test_a_public_name_costs_only_what_it_needs() -> None:
    """The flow alone needs neither torch nor an import of its own; numba waits for frames."""
    code = "import sys, stresnet; stresnet.flow.tv_l1; print({'torch', 'numba'} & set(sys.modules))"
    assert printed(code) == "set()"
    assert stresnet.flow.tv_l1.__name__ == "tv_l1"


def test_worker_processes_load_no_command_line() -> None:
    """They load the module that was started, for what it may define."""
    assert printed("import sys, stresnet.__main__; print('stresnet.cli' in sys.modules)") == "False"


def test_training_does_not_import_tensorboard() -> None:
    """It is an extra, and takes a second; the log imports it where it is installed."""
    loaded = "import sys, stresnet.training.run; print('tensorboard' in sys.modules)"
    assert printed(loaded) == "False"


def test_the_classifier_is_public_where_scikit_learn_is() -> None:
    pytest.importorskip("sklearn")
    assert stresnet.STResNetClassifier.__name__ == "STResNetClassifier"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stresnet", "--help"], capture_output=True, text=True, check=True
    )
    for verb in ("prepare", "train", "evaluate", "predict", "demo"):
        assert verb in done.stdout


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(described()) + "\n", encoding="utf-8")
