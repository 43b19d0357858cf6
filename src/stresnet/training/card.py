"""The model card: README.md of a model folder."""

from __future__ import annotations

from stresnet.data.splits.split import Split
from stresnet.training.recipe import Phase, Recipe

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
