"""What a run's folder says about its run: run.json and split.csv."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stresnet.data.splits.split import Split, VideoItem
from stresnet.errors import UsageError
from stresnet.files import atomic_write
from stresnet.training.recipes import Recipe

LIBRARIES = ("stresnet", "torch", "numpy", "av")

Arguments = Mapping[str, Any]  # of `train`, as JSON holds them


def fingerprint_of(
    recipe: Recipe, class_names: Sequence[str], trained: Sequence[VideoItem], arguments: Arguments
) -> str:
    """Identifies what a run computes: recipe, seed, first weights, classes and videos."""
    identity = {
        "recipe": recipe.as_dict(),
        "seed": arguments["seed"],
        "weights": arguments["weights"],
        "class_names": list(class_names),
        "training_videos": [[item.name, item.label] for item in trained],
    }
    if arguments["motion_weights"]:
        identity["motion_weights"] = arguments["motion_weights"]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def open_run(out: Path, fingerprint: str, split: Split, arguments: Arguments, **said: Any) -> None:
    """Write run.json, with all that `resume` needs, and split.csv.

    Args:
        arguments: of `train`, those of the latest call.
        said: what else run.json shall tell.

    Raises:
        UsageError: the folder holds a run with other options.
        EnvironmentProblem: the folder cannot be written.
    """
    path = out / "run.json"
    if path.exists() and read_run(out)["fingerprint"] != fingerprint:
        raise UsageError(
            f"{out}: holds a run with another recipe, seed, split or data",
            remedy="give another --out, or the options of the first call",
        )
    described = {
        "fingerprint": fingerprint,
        "seed": arguments["seed"],
        "class_names": list(split.class_names),
        "arguments": dict(arguments),
        "versions": {
            "python": platform.python_version(),
            **{library: version(library) for library in LIBRARIES},
        },
        "git_commit": git_commit(Path(__file__).parent),
        **said,
    }
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    with atomic_write(out / "split.csv") as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "name", "label", "source"))
        for part, videos in (("train", split.train), ("test", split.test)):
            writer.writerows((part, v.name, v.label, v.source or "") for v in videos)


def read_run(out: Path) -> dict[str, Any]:
    """What run.json says.

    Raises:
        UsageError: there is no run in `out`.
    """
    path = out / "run.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if not {"fingerprint", "arguments"} <= set(said):
            raise ValueError("made by another version of stresnet")
    except FileNotFoundError as error:
        raise UsageError(
            f"{out}: holds no run", remedy="give the --out folder of an earlier `stresnet train`"
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{path}: cannot be read ({error})", remedy="train into another folder"
        ) from error
    return dict(said)


def git_commit(folder: Path) -> str | None:
    """The commit of the checkout `folder` is in, "+" if files differ; None outside of one."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not a checkout of something else
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
