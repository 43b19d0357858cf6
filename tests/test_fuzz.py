"""A few cases of `make fuzz`, in this process; and that the tool sees what it looks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from loading_scripts import script

fuzz = script("tools/fuzz.py")


@pytest.mark.parametrize("kind", list(fuzz.KINDS))
def test_damage_is_read_or_refused(kind: str) -> None:
    for number in range(8):
        outcome, said = fuzz.attempt(kind, number)
        assert outcome in fuzz.GOOD, f"tools/fuzz.py --only {kind} --from {number}: {said}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(fuzz.KINDS))
def test_much_damage_is_read_or_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(fuzz.__file__).parent)  # its worker processes import it
    tally = fuzz.fuzz(kind, 0, 200, None)
    assert not tally.bad


def test_what_nobody_foresaw_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(draw: object, path: object) -> str:
        raise KeyError("x")

    monkeypatch.setitem(fuzz.KINDS, "csv", fails)
    assert fuzz.attempt("csv", 0) == ("unforeseen", "KeyError: 'x' (fails)")
