"""An iterator that runs ahead of its reader, in a thread: the slower of the two sets the pace."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE = 0.1  # seconds between looks at whether the reader is still there


class _End:
    """What follows the last item: the error that ended the items, if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def ahead(items: Iterable[Item], size: int = 1) -> Iterator[Iterator[Item]]:
    """Work on `items` from now on, of which up to `size` are made before they are asked for.

    (One more is in the making.) An error of `items` is raised where they are read, after the items
    before it. Leaving the block ends the thread; `items` is closed there if it is a generator.
    """
    line: queue.Queue[Item | _End] = queue.Queue(size)
    left = threading.Event()  # the reader has gone

    def put(item: Item | _End) -> bool:
        while not left.is_set():
            try:
                line.put(item, timeout=_PATIENCE)
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
        except BaseException as caught:  # raised again where the reader is
            error = caught
        finally:
            if isinstance(items, Generator):
                items.close()
        put(_End(error))

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield _taken_from(line)
    finally:
        left.set()
        thread.join()


def _taken_from(line: queue.Queue[Item | _End]) -> Iterator[Item]:
    while not isinstance(item := line.get(), _End):
        yield item
    if item.error is not None:
        raise item.error
