"""Checks of labels that are numbers, which stand for places in a list of names kept elsewhere.

Lists count from 0 (PyTorch's, Kinetics') or from 1 (UCF101's classInd.txt, MATLAB's). Data that
mix both train without complaint, and every class is wrong.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

NUMBER = re.compile(r"\d+(?:\.0*)?")  # 7, and the 7.0 of spreadsheets and data frames
WIDEST = 10_000  # beyond it numbers are codes, not places in a list, and have gaps


def shifted_labels(trained: Collection[str], tested: Collection[str]) -> str:
    """A problem if test labels count from one more or one less than training labels; or ""."""
    if not (trained and tested and all_numbers([*trained, *tested])):
        return ""
    first, last = _range(trained)
    first_tested, last_tested = _range(tested)
    shift = first_tested - first
    if abs(shift) != 1 or last_tested - last != shift:
        return ""
    return (
        f"labels off by one: {first} to {last} in training, {first_tested} to {last_tested} in "
        "test; one of them counts from 0, the other from 1"
    )


def doubts_about_numbers(labels: Collection[str]) -> list[str]:
    """Warnings where all labels are numbers: gaps, an odd start, one number spelt twice."""
    if not (labels and all_numbers(labels)):
        return []
    first, last = _range(labels)
    doubts = [
        f"all labels are numbers ({first} to {last}): results will call the classes by them; if "
        "they stand for names, write the names instead"
    ]
    if first > 1:
        doubts.append(
            f"the lowest label is {first}, neither 0 nor 1: classes are missing, or labels are off"
        )
    present = {_number(label) for label in labels}
    if last - first < WIDEST and (gaps := sorted(set(range(first, last)) - present)):
        shown = ", ".join(map(str, gaps[:10])) + (f" and {len(gaps) - 10} more" * (len(gaps) > 10))
        doubts.append(f"no class has the numbers ({len(gaps)}): {shown}")
    doubts += [
        f"one number in several spellings, which are several classes: {', '.join(sorted(spelled))}"
        for spelled in _spellings(labels)
        if len(spelled) > 1
    ]
    return doubts


def all_numbers(labels: Iterable[str]) -> bool:
    return all(NUMBER.fullmatch(label) for label in labels)


def _number(label: str) -> int:
    return int(label.partition(".")[0])


def _range(labels: Iterable[str]) -> tuple[int, int]:
    numbers = [_number(label) for label in labels]
    return min(numbers), max(numbers)


def _spellings(labels: Iterable[str]) -> Iterable[set[str]]:
    spellings: dict[int, set[str]] = defaultdict(set)
    for label in labels:
        spellings[_number(label)].add(label)
    return spellings.values()
