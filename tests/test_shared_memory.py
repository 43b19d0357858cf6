"""A /dev/shm that is too small is named before the loaders start, not after their silence."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from stresnet.data.loading.dataset import ChunkSettings
from stresnet.errors import EnvironmentProblem
from stresnet.training import loading
from stresnet.training.loading import require_shared_memory

MODEST = ChunkSettings(chunks=5, tau=(5, 15), crop="scale-jitter", size=224)


@pytest.mark.parametrize(("free", "fits"), [(64_000_000, False), (4_000_000_000, True)])
def test_what_the_loaders_need_is_compared_with_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, fits: bool
) -> None:
    monkeypatch.setattr(loading, "SHARED", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    if fits:
        require_shared_memory(MODEST, group=32, workers=2)
        return
    with pytest.raises(EnvironmentProblem, match=r"64 MB free.*2 loader.*need 923 MB.*shm-size"):
        require_shared_memory(MODEST, group=32, workers=2)


def test_where_there_is_no_such_place_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SHARED", Path("/nowhere/shm"))
    require_shared_memory(MODEST, group=10**9, workers=2)
