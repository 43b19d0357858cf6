"""Iterators that run ahead of their readers."""

from __future__ import annotations

import threading

import pytest

from stresnet.errors import VideoError
from stresnet.prefetch import prefetch


def test_items_are_made_at_once_and_no_further_than_asked() -> None:
    made: list[int] = []
    third, fourth = threading.Event(), threading.Event()

    def numbers():  # type: ignore[no-untyped-def]
        for number in range(10):
            made.append(number)
            if number == 2:
                third.set()
            if number == 3:
                fourth.set()
            yield number

    with prefetch(numbers(), size=2) as items:
        assert third.wait(5)  # before anything is asked for
        assert next(items) == 0
        assert fourth.wait(5)  # one was taken, two wait, one is in the making
        assert made == [0, 1, 2, 3]
        assert list(items) == list(range(1, 10))


def test_errors_and_ends_pass_through() -> None:
    closed = threading.Event()

    def numbers():  # type: ignore[no-untyped-def]
        try:
            yield from range(3)
            raise VideoError("broken")
        finally:
            closed.set()

    with prefetch(numbers()) as items:
        assert [next(items), next(items), next(items)] == [0, 1, 2]
        with pytest.raises(VideoError, match="broken"):
            next(items)
    closed.clear()
    with prefetch(numbers()) as items:
        next(items)
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name == "ahead"]
