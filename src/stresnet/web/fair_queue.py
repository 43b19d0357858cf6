"""A queue in which clients take turns: one client's twenty clips delay another's by only one."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Round robin over clients, first come first served within one. Not thread-safe."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Item]] = {}  # in the order of the next turns; none is empty

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def put(self, client: str, item: Item) -> None:
        self._lines.setdefault(client, deque()).append(item)

    def pop(self) -> Item:
        """Return the next item; its client goes behind all others.

        Raises:
            IndexError: nothing waits.
        """
        if not self._lines:
            raise IndexError("nothing waits")
        client = next(iter(self._lines))
        line = self._lines.pop(client)
        item = line.popleft()
        if line:
            self._lines[client] = line
        return item

    def remove(self, item: Item) -> None:
        """Take an item out, if it is there."""
        for client, line in list(self._lines.items()):
            if item in line:
                line.remove(item)
            if not line:
                del self._lines[client]

    def ahead_of(self, item: Item) -> int:
        """Return how many items are served before this one, if no more come.

        Raises:
            ValueError: it does not wait.
        """
        clients = list(self._lines)
        for turn, client in enumerate(clients):
            if item in self._lines[client]:
                rounds = self._lines[client].index(item)
                earlier = sum(min(len(self._lines[c]), rounds + 1) for c in clients[:turn])
                later = sum(min(len(self._lines[c]), rounds) for c in clients[turn + 1 :])
                return rounds + earlier + later
        raise ValueError("it does not wait")
