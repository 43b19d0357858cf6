"""What to reproduce, and where its parts lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stresnet.data.splits.official import FOLDS, hmdb51, ucf101
from stresnet.data.splits.open import official_lists
from stresnet.data.splits.split import Split, VideoItem
from stresnet.data.store.location import default_store
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.models import FOLD
from stresnet.evaluation.paper_numbers import BenchmarkName
from stresnet.model.model_folder import CONFIG
from stresnet.training.recipes import Recipe, recipe_named
from stresnet.training.runtime import Execution

READERS = {"ucf101": ucf101, "hmdb51": hmdb51}
NAMES: dict[str, BenchmarkName] = {"ucf101": "UCF101", "hmdb51": "HMDB51"}


@dataclass(frozen=True)
class Job:
    """One data set, one recipe, some of the three splits.

    Attributes:
        benchmark: "ucf101" or "hmdb51".
        root: folder of the videos, CLASS/video.avi.
        out: folder for everything that is made.
        lists: folder of the official split files; None: `root` or a folder in it.
        recipe: a name of `stresnet.training.recipes`, or a recipe of your own.
        splits: some of 1, 2 and 3.
        weights: what both streams start from, as of `train`.
        motion_weights: what the motion stream starts from instead: weights as of `train`, or the
            `out` of a finished UCF101 reproduction, of which the same split is taken (section 4.1
            does so for HMDB51).
        store: folder of the prepared videos; None: `default_store(root)`.
        skip_broken, seed, execution: as of `train`.

    Raises:
        UsageError: no such data set, recipe or split.
    """

    benchmark: str
    root: Path
    out: Path
    lists: Path | None = None
    recipe: str | Recipe = "paper"
    splits: tuple[int, ...] = FOLDS
    weights: str | Path | None = None
    motion_weights: str | Path | None = None
    store: Path | None = None
    skip_broken: bool = False
    seed: int = 0
    execution: Execution = Execution()  # noqa: RUF009 (frozen)

    def __post_init__(self) -> None:
        if self.benchmark not in READERS:
            raise UsageError(f"{self.benchmark!r} is not one of {', '.join(READERS)}")
        if not self.splits or not set(self.splits) <= set(FOLDS):
            raise UsageError(f"splits {self.splits}; expected some of 1, 2 and 3")
        _ = self.full_recipe

    @property
    def full_recipe(self) -> Recipe:
        return recipe_named(self.recipe) if isinstance(self.recipe, str) else self.recipe

    @property
    def name(self) -> BenchmarkName:
        """The data set as the paper writes it."""
        return NAMES[self.benchmark]

    @cached_property
    def lists_folder(self) -> Path:
        """Where the official lists are.

        Raises:
            DatasetError: they are missing, or another data set's.
        """
        found = official_lists(self.root, self.lists)
        if not found or found[0] is not READERS[self.benchmark]:
            raise DatasetError(
                f"{self.lists or self.root}: holds no official lists of {self.name}",
                remedy="name their folder: --lists",
            )
        return found[1]

    @property
    def store_folder(self) -> Path:
        return self.store or default_store(self.root, **self.full_recipe.preparing)

    def run_folder(self, split: int | str = FOLD) -> Path:
        """Where `train` puts a split's networks; of all splits, with `{fold}` for the number."""
        return self.out / f"split{split}"

    def training(self, split: int) -> dict[str, Any]:
        """The arguments of `train` that decide what a split's networks learn."""
        return {
            "recipe": self.full_recipe,
            "weights": self.weights,
            "motion_weights": self.motion_start(split),
            "fold": split,
            "lists": self.lists_folder,
            "store": self.store_folder,
            "seed": self.seed,
        }

    def motion_start(self, split: int) -> str | Path | None:
        """What a split's motion stream starts from; None: the same as the other stream.

        Raises:
            UsageError: `motion_weights` is a folder without a model for it.
        """
        given = self.motion_weights
        if given is None or not Path(given).is_dir() or (Path(given) / CONFIG).is_file():
            return given
        found = Path(given) / f"split{split}" / "two_stream"
        if not (found / CONFIG).is_file():
            raise UsageError(
                f"{given}: is not a model, and holds no split{split}/two_stream",
                remedy="give a two-stream model's folder, or a finished reproduction's --out",
            )
        return found

    def split(self, number: int) -> Split:
        """One official split.

        Raises:
            DatasetError: the lists are missing or malformed.
        """
        return READERS[self.benchmark](self.root, self.lists_folder, number)

    def videos(self) -> list[VideoItem]:
        """The videos of all splits asked for, each once, by name."""
        items = {
            item.name: item
            for split in map(self.split, self.splits)
            for item in split.train + split.test
        }
        return [items[name] for name in sorted(items)]
