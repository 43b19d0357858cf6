"""Score every test video of a data set by the paper's protocol; write scores and a report.

The report has the rows of Table 3 that one network has: each stream alone and their fusion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from stresnet.data.datasets import open_dataset
from stresnet.data.prepare import prepare, store_path
from stresnet.data.store import StoredVideo
from stresnet.errors import DatasetError, StoreError
from stresnet.evaluation.fully_convolutional import VideoScores, score_video
from stresnet.evaluation.metrics import (
    confusion,
    mean_class_accuracy,
    top_k_accuracy,
)
from stresnet.files import whole_file
from stresnet.model import STResNet, load_model

ROWS = ("appearance", "motion", "fused")


@dataclass(frozen=True)
class Report:
    """Accuracies of one network on one list of videos.

    Attributes:
        names: of the videos, in the order of `truth` (N,) and of each scores array (N, K).
        scores: unnormalised, under "appearance", "motion" and "fused".
        failures: videos that could not be scored, with the reason.
    """

    class_names: tuple[str, ...]
    names: tuple[str, ...]
    truth: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float32]]
    failures: Mapping[str, str] = field(default_factory=dict)

    def accuracy(self, row: str = "fused") -> float:
        """Top-1 accuracy, in [0, 1]."""
        return top_k_accuracy(self.scores[row], self.truth)

    def as_dict(self) -> dict[str, Any]:
        """The numbers, as plain values."""
        return {
            "videos": len(self.names),
            "failures": dict(self.failures),
            "class_names": list(self.class_names),
            "rows": {
                row: {
                    "top1": self.accuracy(row),
                    "mean_class": mean_class_accuracy(self.scores[row], self.truth),
                    "confusion": confusion(self.scores[row], self.truth).tolist(),
                }
                for row in self.scores
            },
        }

    def table(self) -> Table:
        """The rows of Table 3 that one network has."""
        table = Table("", "accuracy", "mean of classes", title=f"{len(self.names)} videos")
        for row in self.scores:
            values = (self.accuracy(row), mean_class_accuracy(self.scores[row], self.truth))
            table.add_row(row, *(f"{100 * value:.1f} %" for value in values))
        return table

    def save(self, folder: Path) -> None:
        """Write `report.json` and `scores.npz` (names, truth and scores; no pickled objects)."""
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / "report.json") as partial:
            partial.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        with whole_file(folder / "scores.npz") as partial, partial.open("wb") as file:
            arrays: dict[str, Any] = {
                "names": np.array(self.names, dtype=np.str_),
                "class_names": np.array(self.class_names, dtype=np.str_),
                "truth": self.truth,
                **self.scores,
            }
            np.savez(file, **arrays)


def evaluate(
    model: STResNet | str | Path,
    data: str | Path,
    *,
    fold: int | None = None,
    lists: str | Path | None = None,
    store: str | Path | None = None,
    bf16: bool = False,
    say: Callable[[str], None] = print,
) -> Report:
    """Score the test videos of a data set with the paper's protocol.

    Args:
        model: a network in evaluation mode with class names, or a model folder.
        data, fold, lists: as in `open_dataset`; the split's test videos are scored.
        store: folder of prepared videos, filled as needed. None: "store".
        bf16: multiply in bfloat16 (see `score_video`).
        say: receives one plain line at each step of the way.

    Raises:
        DatasetError: the data cannot be used, or has classes the model does not know.
        WeightsError: the model's folder cannot be used.
    """
    net = model if isinstance(model, STResNet) else load_model(model)
    # Faster on CPUs, same numbers. (torch's type stubs do not know this overload.)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    split = open_dataset(Path(data), fold=fold, lists=Path(lists) if lists else None)
    index = {name: i for i, name in enumerate(net.class_names)}
    if unknown := sorted({item.label for item in split.test} - set(index)):
        raise DatasetError(
            f"{data}: has the classes {', '.join(unknown)}; "
            f"the model knows {', '.join(net.class_names)}",
            remedy="evaluate on the classes that the model was trained on",
        )
    store = Path(store) if store else Path("store")
    report = prepare([(item.path, item.name) for item in split.test], store)
    failures = dict(report.failures)
    scored: list[tuple[str, int, VideoScores]] = []
    for done, item in enumerate(split.test, start=1):
        if item.name in failures:
            continue
        try:
            scores = score_video(net, StoredVideo(store_path(store, item.name)), bf16=bf16)
        except StoreError as error:
            failures[item.name] = str(error)
            continue
        scored.append((item.name, index[item.label], scores))
        if done % 20 == 0:
            say(f"scored {done} of {len(split.test)} videos")
    if not scored:
        raise DatasetError(f"{data}: none of its {len(split.test)} test videos could be scored")
    return Report(
        class_names=net.class_names,
        names=tuple(name for name, _, _ in scored),
        truth=np.array([label for _, label, _ in scored], dtype=np.int64),
        scores={row: np.stack([getattr(scores, row) for _, _, scores in scored]) for row in ROWS},
        failures=failures,
    )
