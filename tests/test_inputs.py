"""What a source on the command line stands for, and where its outputs go."""

from __future__ import annotations

from pathlib import Path

import pytest

from stresnet.data.video.inputs import LiveInput, VideoInput, find_inputs
from stresnet.errors import DatasetError, UsageError
from stresnet.prediction.outputs import output_paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/two.avi", "a/one.mp4", "a/notes.doc", ".hidden/three.mp4", "four [1].mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def names(source: str | Path) -> list[str]:
    found = find_inputs(str(source))
    assert isinstance(found, tuple)
    assert all(isinstance(video, VideoInput) and video.path.is_file() for video in found)
    return [video.name for video in found]


def test_a_file_a_folder_and_a_pattern(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(folder / "a" / "one.mp4") == ["one.mp4"]
    assert names(folder / "four [1].mp4") == ["four [1].mp4"]  # a file, though it looks a pattern
    assert names(folder) == ["a/one.mp4", "b/two.avi", "four [1].mp4"]
    monkeypatch.chdir(folder)
    assert names("**/*.mp4") == ["a/one.mp4", "four [1].mp4"]
    assert names("../" + folder.name + "/?/*.avi") == [f"{folder.name}/b/two.avi"]
    with pytest.raises(DatasetError, match="matches no file"):
        find_inputs("*.mov")
    with pytest.raises(DatasetError, match="no videos"):
        (folder / "empty").mkdir()
        find_inputs("empty")


def test_a_missing_file_is_found_out_when_it_is_read(tmp_path: Path) -> None:
    assert find_inputs(str(tmp_path / "no.mp4")) == (VideoInput(tmp_path / "no.mp4", "no.mp4"),)


def test_a_list_is_relative_to_its_folder(folder: Path) -> None:
    listed = folder / "list.txt"
    listed.write_text(f"# comment\na/one.mp4\n\n  b \n{folder}/b/*.avi\n", encoding="utf-8")
    absolute = f"{folder}/b/two.avi".lstrip("/")
    assert names(listed) == ["a/one.mp4", "two.avi", absolute]
    (folder / "# comment").write_bytes(b"x")  # a file of that name is a file
    assert names(listed) == ["# comment", "a/one.mp4", "two.avi", absolute]
    listed.write_text("\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="lists no video"):
        find_inputs(str(listed))
    with pytest.raises(DatasetError, match="cannot be read"):
        find_inputs(str(folder / "none.txt"))


def test_cameras_and_streams() -> None:
    camera = find_inputs("0")
    assert camera == LiveInput("0")
    with pytest.raises(UsageError, match="--allow-network"):
        find_inputs("rtsp://host/stream")
    assert find_inputs("rtsp://host/stream", allow_network=True) == LiveInput("rtsp://host/stream")
    for address in ("https://host/clip.mp4", "file:///etc/passwd"):
        with pytest.raises(UsageError, match="not fetched"):
            find_inputs(address, allow_network=True)


def test_outputs_of_one_video_and_of_many() -> None:
    assert output_paths(Path("x/out.srt"), ["a/one.mp4"], ".srt") == [Path("x/out.srt")]
    assert output_paths(Path("x"), ["a/one.mp4", "two.avi"], ".srt") == [
        Path("x/a/one.srt"),
        Path("x/two.srt"),
    ]
    with pytest.raises(UsageError, match="one file for 2 videos"):
        output_paths(Path("out.mp4"), ["a.mp4", "b.mp4"], ".mp4")
    with pytest.raises(UsageError, match=r"several videos.*a\.mp4"):
        output_paths(Path("out"), ["a.avi", "a.mkv"], ".mp4")
