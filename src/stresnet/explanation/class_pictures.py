"""What a network has learned of a class, written to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stresnet.data.store.jpeg import encode_rgb
from stresnet.data.video.encode import video_writer
from stresnet.drawing import Picture, draw_text, resized
from stresnet.explanation.activation_maximisation import ClassPicture
from stresnet.files import atomic_write
from stresnet.flow.colour import to_colour

SIDE = 224  # px of a picture
FIELDS = (0, 3, 6, 9)  # of the L flow fields on the sheet
FULL_COLOUR = 99  # percentile of speed at which a flow picture's colour is full
SECONDS_A_FIELD, ROUNDS = 0.2, 3  # the video shows the L fields this often


def write_class_pictures(pictures: Sequence[ClassPicture], folder: Path) -> None:
    """Write class.jpg (appearance, and four flow fields), class.mp4 (all flow fields in turn beside
    appearance) and class.json; a row a picture.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    rows = [row(picture) for picture in pictures]  # (L+1,SIDE,SIDE,3) each
    sheet = [np.concatenate(each[[0, *(1 + field for field in FIELDS)]], axis=1) for each in rows]
    for drawn, picture in zip(sheet, pictures, strict=True):
        _name(drawn, picture)
    with atomic_write(folder / "class.jpg") as path:
        path.write_bytes(encode_rgb(np.concatenate(sheet)))
    fields = [
        np.concatenate([np.concatenate([each[0], field], axis=1) for each, field in
                        zip(rows, moment, strict=True)])
        for moment in zip(*(each[1:] for each in rows), strict=True)
    ]  # fmt: skip
    with video_writer(folder / "class.mp4", fps=1 / SECONDS_A_FIELD) as writer:
        for number, field in enumerate(fields * ROUNDS):
            writer.add(field, number * SECONDS_A_FIELD)
    said = [
        {
            "label": picture.label,
            "margin": picture.margin,
            "start": picture.start,
            "spatial": picture.spatial,
            "temporal": picture.temporal,
            "seed": picture.seed,
            "speed": float(np.hypot(picture.flow[:, 0], picture.flow[:, 1]).mean()),
        }
        for picture in pictures
    ]
    with atomic_write(folder / "class.json") as path:
        path.write_text(json.dumps(said, ensure_ascii=False, indent=1), encoding="utf-8")


def row(picture: ClassPicture) -> Picture:
    """(L+1,SIDE,SIDE,3): appearance, then each flow field in the colours of its direction."""
    speed = np.hypot(picture.flow[:, 0], picture.flow[:, 1])
    full = float(np.percentile(speed, FULL_COLOUR)) or 1.0
    drawn = [picture.rgb, *to_colour(picture.flow, full)]
    return np.stack([resized(each, SIDE, SIDE) for each in drawn])


def _name(drawn: Picture, picture: ClassPicture) -> None:
    draw_text(drawn, f"{picture.label}: appearance", 0, 0, size=12)
    draw_text(drawn, f"flow, temporal {picture.temporal:g}", SIDE, 0, size=12)
