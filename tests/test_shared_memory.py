"""A /dev/shm that is too small is named before videos are prepared, not after silent loaders."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from stresnet.data.loading.dataset import ChunkSettings
from stresnet.errors import EnvironmentProblem
from stresnet.training import loading
from stresnet.training.loading import require_shared_memory
from stresnet.training.run import train
from stresnet.training.runtime import Execution

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


def test_it_is_told_before_videos_are_prepared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for label in ("left", "right"):
        for number in range(2):
            (tmp_path / "clips" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "clips" / label / f"{number}.mp4").write_text(f"{label} {number}")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1_000))
    monkeypatch.setattr(loading, "SHARED", tmp_path)
    with pytest.raises(EnvironmentProblem, match="shm-size"):
        train(tmp_path / "clips", tmp_path / "run", execution=Execution("cpu", "fp32", workers=1))
    assert not (tmp_path / "run").exists()
