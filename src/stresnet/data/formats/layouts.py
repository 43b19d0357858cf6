"""How others lay out prepared videos: paths and numbering. The table is in docs/formats.md.

`export` writes all of them from a store; `import_layouts` reads those that are pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from stresnet.errors import UsageError


class Format(StrEnum):
    """What `prepare` can write."""

    STORE = "store"
    AUTHORS = "authors"
    DENSEFLOW = "denseflow"
    FLO = "flo"
    WEBDATASET = "webdataset"


@dataclass(frozen=True)
class PictureLayout:
    """One JPEG a frame, and two grey ones a flow field.

    Attributes:
        rgb, x, y: path of a frame, and of horizontal and vertical flow, with {name} and {number}.
        first: the number of the first frame; field k, from frame k to k+1, has frame k's number.
        flat: videos are called by their file names alone, whatever folder they are in.
    """

    rgb: str
    x: str
    y: str
    first: int
    flat: bool

    def frame(self, name: str, index: int) -> PurePosixPath:
        """Path of frame `index`, counted from 0."""
        return PurePosixPath(self.rgb.format(name=name, number=index + self.first))

    def field(self, name: str, index: int) -> tuple[PurePosixPath, PurePosixPath]:
        """Paths of the flow from frame `index` to the next, counted from 0: (x, y)."""
        number = index + self.first
        return (
            PurePosixPath(self.x.format(name=name, number=number)),
            PurePosixPath(self.y.format(name=name, number=number)),
        )


# gpu_flow at 32548bc, lines 355-368, and what st-resnet's loaders read.
AUTHORS = PictureLayout(
    rgb="jpegs_256/{name}/frame{number:06d}.jpg",
    x="tvl1_flow/u/{name}/frame{number:06d}.jpg",
    y="tvl1_flow/v/{name}/frame{number:06d}.jpg",
    first=1,
    flat=True,
)
# open-mmlab/denseflow counts from 0; its forerunner wanglimin/dense_flow, from 1.
DENSEFLOW = PictureLayout(
    rgb="{name}/img_{number:05d}.jpg",
    x="{name}/flow_x_{number:05d}.jpg",
    y="{name}/flow_y_{number:05d}.jpg",
    first=0,
    flat=False,
)
PICTURES = {Format.AUTHORS: AUTHORS, Format.DENSEFLOW: DENSEFLOW}


def layout_names(videos: Iterable[str], format: Format) -> dict[str, str]:
    """Name of each video -> what the layout calls it: no ending, and perhaps no folder.

    Raises:
        UsageError: two videos would be called the same, or one's folder lies in another's.
    """
    names = {video: _layout_name(PurePosixPath(video), format) for video in videos}
    count = Counter(names.values())
    inner = {str(folder) for name in count for folder in PurePosixPath(name).parents}
    if clash := [video for video, name in names.items() if count[name] > 1 or name in inner]:
        raise UsageError(
            f"{len(clash)} videos would overwrite each other in the layout {format.value}: "
            f"{', '.join(clash[:5])}",
            remedy="rename them; they must differ in more than their endings"
            + (" and class folders" if format is Format.AUTHORS else ""),
        )
    return names


def _layout_name(video: PurePosixPath, format: Format) -> str:
    if format is Format.AUTHORS:
        return video.stem
    if format is Format.WEBDATASET:  # a sample's key ends at the first dot
        return str(video.with_name(video.stem.replace(".", "_")))
    return str(video.with_suffix(""))
