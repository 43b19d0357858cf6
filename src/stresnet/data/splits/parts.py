"""Folders that are parts of a split, by their names: train, val, test, in any spelling."""

from __future__ import annotations

import re

# Folders that are parts of a split, see `part_of`; of several, the first one is taken.
TRAINING = ("train", "training", "trainval", "trainandval", "trn")
HELD_OUT = (
    *("test", "testing", "tests", "tst", "val", "valid", "validation", "validate", "dev"),
    *("development", "eval", "evaluation", "holdout", "heldout"),
)
FILLER = "(?:set|sets|data|dataset|ds|videos?|clips?|images?|files?|folder|split|part)*"


def part_of(folder: str) -> tuple[str, str]:
    """Return the part of a split that a folder's name says, spelt as above, and what else it says.

    `Training_Set` is training; `ucf_train` and `ucf-val_256` are parts of ucf.
    """
    folder_words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder)  # TrainRGB
    words = re.findall(r"[^\W\d_]+", folder_words.casefold())
    for first in range(len(words)):
        for after in range(len(words), first, -1):  # train+val before train
            joined = "".join(words[first:after])  # held_out
            known = re.fullmatch(f"{FILLER}({'|'.join((*TRAINING, *HELD_OUT))}){FILLER}", joined)
            if known:
                others = words[:first] + words[after:]
                rest = "".join(word for word in others if not re.fullmatch(FILLER, word))
                return known[1], rest
    return "", folder
