"""One of the equal parts into which machines divide the videos of a data set."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from stresnet.data.store.index import FILE
from stresnet.errors import UsageError


@dataclass(frozen=True)
class Part:
    """Part `number` of `of`, counted from 1. Which videos it holds depends on their names alone.

    By a hash, not by the place in a list: machines that see different lists, because a video was
    added meanwhile, still never take the same video. Parts are equal only on average.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(
                f"there is no part {self.number}/{self.of}",
                remedy="count from 1, as in --part 1/8 ... --part 8/8",
            )

    @classmethod
    def parse(cls, text: str) -> Part:
        """`2/8` -> the second of eight parts.

        Raises:
            UsageError: the text is not such a pair, or the number lies outside 1 ... n.
        """
        pair = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        if pair is None:
            raise UsageError(f"--part is {text!r}, expected i/n, as in 2/8")
        return cls(int(pair[1]), int(pair[2]))

    def holds(self, name: str) -> bool:
        """Whether the video of this name belongs to this part; to exactly one of all parts."""
        place = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8])
        return place % self.of == self.number - 1

    @property
    def failures_file(self) -> str:
        """Each part has its own, since parts share a folder."""
        return f"failures-{self.number}-of-{self.of}.csv" if self.of > 1 else "failures.csv"

    @property
    def index_file(self) -> str:
        """Each part has its own, since SQLite must not be written by two machines."""
        return f"index-{self.number}-of-{self.of}.sqlite" if self.of > 1 else FILE


WHOLE = Part(1, 1)
