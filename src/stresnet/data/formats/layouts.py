"""How other tools lay out prepared videos. The table of all layouts is in docs/formats.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import PurePosixPath

from stresnet.errors import UsageError


class Layout(StrEnum):
    """What `prepare` can write."""

    STORE = "store"
    AUTHORS = "authors"
    WEBDATASET = "webdataset"


DENSEFLOW = "denseflow"  # is only read

# The authors' folders of a video's frames and of its horizontal and vertical flow (gpu_flow at
# 32548bc, lines 355-368, and what st-resnet's loaders read), with the name of picture k in each.
# Frames count from 1; the flow from frame k to k+1 has frame k's number.
AUTHORS_FOLDERS = ("jpegs_256/{name}", "tvl1_flow/u/{name}", "tvl1_flow/v/{name}")
AUTHORS_PICTURE = "frame{number:06d}.jpg"


def layout_names(videos: Iterable[str], layout: str) -> dict[str, str]:
    """Map each video's name to its name in a layout: without the ending, and perhaps the folder.

    Raises:
        UsageError: two videos would have the same name, or one's folder would lie in another's.
    """
    names = {video: _layout_name(PurePosixPath(video), layout) for video in videos}
    count = Counter(names.values())
    inner = {str(folder) for name in count for folder in PurePosixPath(name).parents}
    if clash := [video for video, name in names.items() if count[name] > 1 or name in inner]:
        raise UsageError(
            f"{len(clash)} videos would overwrite each other in the layout {layout}: "
            f"{', '.join(clash[:5])}",
            remedy="rename them; they must differ in more than their endings"
            + (" and class folders" if layout == Layout.AUTHORS else ""),
        )
    return names


def _layout_name(video: PurePosixPath, layout: str) -> str:
    if layout == Layout.AUTHORS:
        return video.stem
    if layout == Layout.WEBDATASET:  # a sample's key ends at the first dot
        return str(video.with_name(video.stem.replace(".", "_")))
    return str(video.with_suffix(""))
