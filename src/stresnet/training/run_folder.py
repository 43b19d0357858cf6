"""A run's own record of what it is: run.json, split.csv, and the cards of its networks."""

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
from stresnet.errors import UsageError, in_short
from stresnet.evaluation.models import SPLIT_LIST, trained_in
from stresnet.files import atomic_write, write_text
from stresnet.training.recipe import Phase, Recipe

RUN = "run.json"
LIBRARIES = ("stresnet", "torch", "numpy", "av")

Arguments = Mapping[str, Any]  # of `train`, as JSON holds them


def setup_of(recipe: Recipe, seed: int, split: Split, weights: Mapping[str, str | None]) -> str:
    """Identify a run by what was asked for: recipe, seed, classes, videos, first weights.

    Args:
        weights: digest of what each phase starts from.
    """
    return _digest(
        {
            "recipe": recipe.as_dict(),
            "seed": seed,
            "weights": dict(weights),
            "class_names": list(split.class_names),
            "training_videos": [[i.name, i.label, *(i.span or ())] for i in split.train],
        }
    )


def used_in(setup: str, trained: Sequence[VideoItem]) -> str:
    """Identify what a run computes: its setup, and the videos that could be prepared."""
    return _digest({"setup": setup, "videos": [item.name for item in trained]})


def require_same_run(out: Path, setup: str, recipe: Recipe, seed: int, split: Split) -> None:
    """Check that a folder holds no run of another setup.

    Raises:
        UsageError: it does; the message says what differs.
    """
    if not (out / RUN).exists() or (run := read_run(out))["fingerprint"] == setup:
        return
    first = run["arguments"]
    names = {item.name for item in split.train}
    before = trained_in(out) or names
    if first["seed"] != seed:
        differs = f"the seed {first['seed']}, not {seed}"
    elif new := sorted(names - before):
        differs = f"other training videos; new are {len(new)}: {in_short(new)}"
    elif gone := sorted(before - names):
        differs = f"other training videos; gone are {len(gone)}: {in_short(gone)}"
    elif first["recipe"] != json.loads(json.dumps(recipe.as_dict())):
        differs = "another recipe"
    else:
        differs = "other labels, times of segments or first weights"
    raise UsageError(
        f"{out}: holds a run with {differs}",
        remedy="give another --out, or the options and data of the first call",
    )


def write_run(
    out: Path,
    setup: str,
    split: Split,
    arguments: Arguments,
    validation: Sequence[VideoItem] = (),
    **facts: Any,
) -> None:
    """Write run.json, with all that `resume` needs, and split.csv.

    Args:
        arguments: those of the latest call of `train`.
        validation: training videos kept back to choose a network by.
        facts: what else run.json records.

    Raises:
        EnvironmentProblem: the folder cannot be written.
    """
    content = {
        "fingerprint": setup,
        "seed": arguments["seed"],
        "class_names": list(split.class_names),
        "arguments": dict(arguments),
        "versions": {
            "python": platform.python_version(),
            **{library: version(library) for library in LIBRARIES},
        },
        "git_commit": git_commit(Path(__file__).parent),
        **facts,
    }
    write_text(out / RUN, json.dumps(content, indent=1) + "\n")
    with (
        atomic_write(out / SPLIT_LIST) as partial,
        partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("split", "name", "label", "source", "start", "end"))
        parts = (("train", split.train), ("validation", validation), ("test", split.test))
        for part, videos in parts:
            writer.writerows(
                (part, v.name, v.label, v.source or "", *(v.span or ("", ""))) for v in videos
            )


def read_run(out: Path) -> dict[str, Any]:
    """Return the content of run.json.

    Raises:
        UsageError: there is no run in `out`.
    """
    path = out / RUN
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {*content, *content.get("arguments", {})}
        if not {"fingerprint", "data", "recipe", "execution"} <= known:
            raise ValueError("made by another version of stresnet")
    except FileNotFoundError as error:
        raise UsageError(
            f"{out}: holds no run", remedy="give the --out folder of an earlier `stresnet train`"
        ) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path}: cannot be read ({error})", remedy="train into another folder"
        ) from error
    return dict(content)


def git_commit(folder: Path) -> str | None:
    """Return the commit of the checkout around `folder`, with "+" if files differ; None if none."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not a checkout of something else
        return git("describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+")
    except (OSError, subprocess.CalledProcessError):
        return None


def _digest(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


CARD = """\
---
library_name: stresnet
pipeline_tag: video-classification
tags: [action-recognition, two-stream, optical-flow, st-resnet]
---
# {title}

Recognises {classes}.

    stresnet predict THIS_FOLDER VIDEO

| | |
|---|---|
| network | {network}, depth {depth}, {input_size} px crops |
| trained on | {videos} videos of {data} |
| kept out | {kept_out} videos{fold} |
| recipe | `{recipe}`, phase `{phase}`: {iterations} iterations of {batch} videos |
| chunks a video | {chunks} |
| accuracy | not measured yet: `stresnet evaluate THIS_FOLDER {data}` |
"""

TITLES = {
    "two_stream": "Two-stream ResNet",
    "st_resnet": "ST-ResNet",
    "st_resnet_star": "ST-ResNet*",
}


def model_card(
    recipe: Recipe,
    phase: Phase,
    split: Split,
    *,
    network: str,
    data: str,
    trained: int,
    fold: int | None,
) -> str:
    """What was trained, on what, and how; accuracy is for `stresnet evaluate` to measure."""
    return CARD.format(
        title=f"{TITLES[network]} for {len(split.class_names)} classes of {data}",
        classes=", ".join(split.class_names),
        network=TITLES[network],
        depth=recipe.depth,
        input_size=recipe.input_size,
        videos=trained,
        data=data,
        kept_out=len(split.test),
        fold="" if fold is None else f" (fold {fold})",
        recipe=recipe.name,
        phase=phase.name,
        iterations=phase.iterations,
        batch=phase.batch,
        chunks=phase.chunks,
    )
