"""What annotations call a video -> the file that is meant."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit

from stresnet.data.video.folders import VIDEO_ENDINGS, as_spelt_on_disk, files_below
from stresnet.files import one_spelling


def videos_named(names: Sequence[str], folder: Path, videos: Path | None) -> dict[str, Path]:
    """Find what the names stand for: as they are, or by the last part, perhaps without ending."""
    found: dict[str, Path] = {}
    below: dict[str, list[Path]] | None = None
    for name in names:
        for place in _perhaps(name, folder, videos):
            if place.is_file():
                found[name] = one_spelling(place)
                break
        else:
            below = videos_below(videos or folder) if below is None else below
            last = _last_part(name)
            # Label Studio puts eight digits before the name of a file that was uploaded, and writes
            # it as in an address; ActivityNet leaves out the v_ before the name of its files.
            uploaded = re.sub(r"^[0-9a-f]{8}-", "", last)
            for key in (last, uploaded, unquote(uploaded), f"v_{last}"):
                if len(places := below.get(key.casefold(), [])) == 1:
                    found[name] = one_spelling(places[0])
                    break
    return found


def _perhaps(name: str, folder: Path, videos: Path | None) -> list[Path]:
    address = urlsplit(name)
    path = unquote(address.path) if address.scheme == "file" else name
    if re.match(r"/[A-Za-z]:/", path):  # file:///C:/videos/a.mp4
        path = path[1:]
    last = _last_part(name)
    return [as_spelt_on_disk(place) for place in (
        *([videos / path, videos / last] if videos else []), folder / path, folder / last
    )]  # fmt: skip


def _last_part(name: str) -> str:
    address = urlsplit(name)
    path = unquote(address.path) if address.scheme in ("file", "http", "https") else name
    return PureWindowsPath(path).name  # also splits at /


def videos_below(folder: Path) -> dict[str, list[Path]]:
    """Videos at any depth, by file name and by file name without ending."""
    places: dict[str, list[Path]] = defaultdict(list)
    for path in files_below(folder):
        if path.suffix.lower() in VIDEO_ENDINGS:
            for key in {path.name.casefold(), path.stem.casefold()}:
                places[key].append(path)
    return places
