"""What would spoil a training run, looked for in a split before the long work."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from unicodedata import category, normalize

from stresnet.data.splits.split import NUMBER, Split, VideoItem
from stresnet.data.store.index import Look, is_stored, read_index
from stresnet.errors import DatasetError, in_lines, in_short


def check(split: Split, store: Path | None = None) -> tuple[str, ...]:
    """Look for what would spoil a training run; return warnings in plain language.

    Files of equal size are compared by content.

    Args:
        store: folder of prepared videos; a video in it need not be there as a file.

    Raises:
        DatasetError: classes without training videos, fewer than two classes, files that are named
            but missing, videos with one name, videos in both train and test, or numbers for labels
            that count from 0 on one side and from 1 on the other. All problems are listed at once.
    """
    both = split.train + split.test
    trained = {item.label for item in split.train}
    tested = {item.label for item in split.test}
    names = Counter((item.name, item.span) for item in both)
    training_paths = {_real(item.path) for item in split.train}
    in_both = {item.name for item in split.test if _real(item.path) in training_paths}
    repeated = {name for (name, _), count in names.items() if count > 1} - in_both
    across, labelled = _equal_contents(split, store)
    problems = [
        _few_classes(split.class_names),
        _listed("classes without training videos", set(split.class_names) - trained),
        _shifted(_numbers(trained), _numbers(tested)),
        _listed("missing videos", {str(item.path) for item in both if _is_missing(item, store)}),
        _listed("videos listed more than once", repeated),
        _listed("videos in both train and test", in_both),
        _listed("equal contents in train and test", across),
    ]
    if found := [problem for problem in problems if problem]:
        raise DatasetError(
            f"the data set cannot be used:{in_lines(found)}",
            remedy="correct the folder or the list as named above",
        )
    sources = {item.source for item in split.train} & {item.source for item in split.test} - {None}
    alike = defaultdict(list)
    for name in split.class_names:
        alike[_spelling(name)].append(name)
    warnings = [
        _listed("classes without test videos", trained - tested - {split.background}),
        _listed("sources with videos in both train and test", (str(name) for name in sources)),
        _listed("class names that look alike", map(_told_apart, alike.values())),
        _listed("equal contents under two labels", labelled),
        _doubt(_numbers(split.class_names)),
    ]
    return tuple(warning for warning in warnings if warning)


def _is_missing(item: VideoItem, store: Path | None) -> bool:
    if item.path.is_file():
        return False
    return store is None or not is_stored(store, item.name)


def _few_classes(class_names: Sequence[str]) -> str:
    if len(class_names) > 1:
        return ""
    return f"only one class ({class_names[0]}); there must be two" if class_names else "no classes"


def _spelling(name: str) -> str:
    """Equal for names that look alike.

    An é may be one character or two, 7 may be 07 or 7.0, and JumpRope may be jump_rope.
    """
    name = normalize("NFKC", name).casefold()
    name = "".join(c for c in name if category(c) != "Cf").strip()  # as spaces without a width
    name = re.sub(r"(?<=[^\W\d_])[\s_-]+(?=[^\W\d_])", "", name)  # 1-1 is not 11
    number = NUMBER.fullmatch(name)
    return str(int(number[1])) if number else name


def _told_apart(names: Sequence[str]) -> str:
    """`'run' = 'Run'`, in ASCII where that is needed to see a difference; "" of a single name."""
    shown = ascii if len({normalize("NFC", name) for name in names}) < len(names) else repr
    return " = ".join(map(shown, names)) if len(names) > 1 else ""


def _numbers(labels: Collection[str]) -> set[int]:
    """The labels as numbers, places in a list kept elsewhere; {} if any is not a number."""
    found = [NUMBER.fullmatch(label) for label in labels]
    return {int(match[1]) for match in found if match} if all(found) else set()


def _shifted(trained: set[int], tested: set[int]) -> str:
    """Lists count from 0 or from 1; data that mix both train without complaint, all wrong."""
    if not (trained and tested):
        return ""
    (first, last), (first_tested, last_tested) = ((min(n), max(n)) for n in (trained, tested))
    if abs(first_tested - first) != 1 or last_tested - last != first_tested - first:
        return ""
    return (
        f"labels off by one: {first} to {last} in training, {first_tested} to {last_tested} in "
        "test; one of them counts from 0, the other from 1"
    )


def _doubt(numbers: set[int]) -> str:
    if not numbers:
        return ""
    return (
        f"all labels are numbers ({len(numbers)} from {min(numbers)} to {max(numbers)}): results "
        "will call the classes by them; if they stand for names, write the names instead"
    )


def _listed(what: str, names: Iterable[str]) -> str:
    """`missing videos (3): a, b, c`; nothing where there are no names."""
    ordered = sorted(filter(None, names))
    if not ordered:
        return ""
    return f"{what} ({len(ordered)}): {in_short(ordered)}"


def _equal_contents(split: Split, store: Path | None) -> tuple[list[str], list[str]]:
    """Find files of equal content: `test = training`, and `a (label) = b (another label)`."""
    trained = {item.name for item in split.train}
    across, labelled = [], []
    videos: dict[str, VideoItem] = {}
    for item in split.train + split.test:
        videos.setdefault(item.name, item)
    for twins in _twins(videos.values(), store):
        first = twins[0]  # for training, if any is
        for item in twins[1:]:
            if item.label != first.label and not (item.span or first.span):
                labelled.append(f"{item.name} ({item.label}) = {first.name} ({first.label})")
            in_both = first.name in trained and item.name not in trained
            if in_both and _real(item.path) != _real(first.path):
                across.append(f"{item.name} = {first.name}")
    return across, labelled


def _twins(items: Iterable[VideoItem], store: Path | None) -> Iterator[list[VideoItem]]:
    """Group the items whose files have equal contents.

    Only files of equal size are read, and none that the store's index knows and that has not
    changed since.
    """
    sizes: dict[int, list[tuple[VideoItem, Look]]] = defaultdict(list)
    for item in items:
        if (look := Look.of(item.path)) and item.path.is_file():
            sizes[look.size].append((item, look))
    known: dict[Look, str] = {}
    if store is not None and any(len(alike) > 1 for alike in sizes.values()):
        known = {
            each.source: each.sha256
            for _, each in read_index(store)
            if each.source and "imported_from" not in each.preparation  # else of pictures
        }
    for alike in sizes.values():
        contents: dict[str, list[VideoItem]] = defaultdict(list)
        for item, look in alike if len(alike) > 1 else ():
            with suppress(OSError):  # what cannot be read is reported when it is prepared
                contents[known.get(look) or _digest(item.path)].append(item)
        yield from (twins for twins in contents.values() if len(twins) > 1)


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
