"""An iterator that runs ahead of its consumer, in a thread: the slower of the two sets the pace."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

_POLL = 0.1  # seconds between looks at whether the consumer is still there
_FAREWELL = 5.0  # seconds that the thread gets to end; one that hangs is left behind


class _End:
    """What follows the last item: the error that ended the items, if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def prefetch(items: Iterable[Item], size: int = 1) -> Iterator[Iterator[Item]]:
    """Start on `items` now; up to `size` of them are ready before they are asked for.

    (One more is in the making.) An error of `items` is raised to the consumer, after the items
    before it. Leaving the block ends the thread; `items` is closed there if it is a generator.
    """
    ready: queue.Queue[Item | _End] = queue.Queue(size)
    left = threading.Event()  # the consumer has gone

    def put(item: Item | _End) -> bool:
        while not left.is_set():
            try:
                ready.put(item, timeout=_POLL)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as caught:  # raised again to the consumer
            error = caught
        finally:
            if isinstance(items, Generator):
                items.close()
        put(_End(error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        yield _taken_from(ready)
    finally:
        left.set()
        thread.join(_FAREWELL)


def _taken_from(ready: queue.Queue[Item | _End]) -> Iterator[Item]:
    while not isinstance(item := ready.get(), _End):
        yield item
    if item.error is not None:
        raise item.error
