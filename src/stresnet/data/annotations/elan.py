"""ELAN's .eaf files (EAF 2.7 to 3.0, the Language Archive), read and written.

    HEADER       MEDIA_DESCRIPTOR: the videos and sounds, with the offset (TIME_ORIGIN, ms) of each
    TIME_ORDER   time slots, in ms; a slot without a value lies between its neighbours
    TIER         annotations between two slots, or that refer to an annotation of another tier

A label is an annotation's value, or, where that is empty, the name of its tier.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from stresnet.data.annotations.annotation import Annotation, unreadable
from stresnet.data.annotations.videos import videos_named
from stresnet.pages import render_page


def read_elan(
    path: Path, root: ElementTree.Element, tiers: Collection[str] = ()
) -> list[Annotation]:
    """Read the annotations of the named tiers; without names, of all independent tiers.

    Tiers that only refer to others (scores, comments, translations) are read if they are named.

    Raises:
        DatasetError: there is no such tier, or no video.
    """
    known = [tier.get("TIER_ID", "") for tier in root.iter("TIER")]
    if missing := sorted(set(tiers) - set(known)):
        raise unreadable(path, f"no tier {', '.join(missing)}; there are {', '.join(known)}")
    videos = [
        media for media in root.iter("MEDIA_DESCRIPTOR")
        if not media.get("MIME_TYPE", "").startswith("audio/")
    ]  # fmt: skip
    if not videos:
        raise unreadable(path, "it links no video")
    # Several media are several views of one recording: the first one is used.
    origin = float(videos[0].get("TIME_ORIGIN", 0)) / 1000
    links = [videos[0].get("MEDIA_URL", ""), videos[0].get("RELATIVE_MEDIA_URL", "")]
    found_by = videos_named([link for link in links if link], path.parent, None)
    media = next(iter(found_by), links[0] or links[1])  # the relative one if it alone is there
    slots = _slots(root)
    spans: dict[str, tuple[float, float]] = {}
    found: list[Annotation] = []
    # A reference may stand before what it refers to.
    refers = {
        each.attrib["ANNOTATION_ID"]: each.attrib["ANNOTATION_REF"]
        for each in root.iter("REF_ANNOTATION")
    }
    for each in root.iter("ALIGNABLE_ANNOTATION"):
        spans[each.attrib["ANNOTATION_ID"]] = (
            slots[each.attrib["TIME_SLOT_REF1"]],
            slots[each.attrib["TIME_SLOT_REF2"]],
        )
    for tier in root.iter("TIER"):
        name = tier.get("TIER_ID", "")
        if tiers and name not in tiers:
            continue
        kinds = ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")[: 2 if tiers else 1]
        for each in (annotation for kind in kinds for annotation in tier.iter(kind)):
            identity = target = each.attrib["ANNOTATION_ID"]
            passed = []
            while target not in spans:
                passed.append(target)
                target = refers.pop(target)  # popped, so that a circle ends
            spans |= dict.fromkeys(passed, spans[target])
            start, end = spans[target]
            label = (each.findtext("ANNOTATION_VALUE") or "").strip() or name
            place = f"tier {name}, annotation {identity}"
            found.append(Annotation(media, label, start + origin, end + origin, where=place))
    return found


def _slots(root: ElementTree.Element) -> dict[str, float]:
    """Seconds of each time slot; those without a value are spread evenly, as ELAN shows them."""
    slots = [(slot.attrib["TIME_SLOT_ID"], slot.get("TIME_VALUE"))
             for slot in root.iter("TIME_SLOT")]  # fmt: skip
    times: dict[str, float] = {}
    before, waiting = 0.0, []
    for name, value in slots:
        if value is None:
            waiting.append(name)
            continue
        time = float(value) / 1000
        for place, each in enumerate(waiting, 1):
            times[each] = before + (time - before) * place / (len(waiting) + 1)
        times[name], before, waiting = time, time, []
    return times | dict.fromkeys(waiting, before)


def to_elan(
    segments: Sequence[tuple[float, float, str, float | None]],
    video: Path,
    class_names: Iterable[str] = (),
) -> str:
    """Return an .eaf file: a tier of labels, and one of scores that refers to it.

    Args:
        segments: start and end in seconds, label, score in [0, 1] or None.
    """
    place = video.resolve()
    mime = {".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".mp4": "video/mp4"}
    return render_page(
        "timeline.eaf",
        segments=segments,
        video=place,
        mime=mime.get(place.suffix.lower(), "video/*"),
        names=sorted({*class_names, *(label for _, _, label, _ in segments)}),
    )
