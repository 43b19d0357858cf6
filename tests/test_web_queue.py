"""Clients take turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stresnet.web.queue_service import FairQueue


def filled(clients: str) -> FairQueue[tuple[str, int]]:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, client in enumerate(clients):
        queue.put(client, (client, number))
    return queue


def served(queue: FairQueue[tuple[str, int]]) -> list[tuple[str, int]]:
    return [queue.pop() for _ in range(len(queue))]


def test_nobody_waits_for_all_of_anothers():
    assert [client for client, _ in served(filled("aaaabcb"))] == list("abcabaa")


def test_who_was_served_last_goes_behind_all_others():
    queue = filled("ab")
    queue.pop()
    queue.put("a", ("a", 2))
    queue.put("c", ("c", 3))
    assert [client for client, _ in served(queue)] == ["b", "a", "c"]


@given(st.text("abc", max_size=12), st.integers(0, 3))
def test_the_order_told_is_the_order_served(clients, already_served):
    queue = filled(clients)
    for _ in range(min(already_served, len(queue))):
        queue.pop()
    told = list(queue)
    assert len(told) == len(queue)
    assert served(queue) == told


@given(st.text("abc", min_size=1, max_size=8), st.data())
def test_what_is_removed_is_not_served_and_changes_no_order_within_a_client(clients, data):
    queue = filled(clients)
    number = data.draw(st.integers(0, len(clients) - 1))
    gone = (clients[number], number)
    queue.remove(gone)
    queue.remove(gone)  # once more does nothing
    rest = served(queue)
    assert set(rest) == set(served(filled(clients))) - {gone}
    for client in "abc":
        numbers = [number for name, number in rest if name == client]
        assert numbers == sorted(numbers)


def test_an_empty_queue_serves_nothing():
    with pytest.raises(IndexError):
        FairQueue().pop()
