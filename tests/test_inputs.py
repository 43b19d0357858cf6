"""What a source on the command line stands for, and where its outputs go."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from making_videos import moving_texture, read_video, write_video
from stresnet.data.splits.inputs import find_inputs, videos_of
from stresnet.data.video.folders import find_videos
from stresnet.errors import DatasetError, UsageError, VideoError
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
    assert not isinstance(found, str)
    assert all(path.is_file() for path, _ in found)
    return [name for _, name in found]


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


@pytest.mark.parametrize(
    ("ending", "codec"), [(".y4m", "wrapped_avframe"), (".h264", "libx264"), (".ivf", "libvpx-vp9")]
)
def test_streams_without_a_container_are_found_and_read(
    tmp_path: Path, ending: str, codec: str
) -> None:
    path = tmp_path / f"a{ending}"
    write_video(path, moving_texture(12), encoder=(codec, "yuv420p", {}))
    ((found, _),) = find_videos(tmp_path)
    with pytest.raises(DatasetError, match="nowhere: no such file or folder"):
        find_videos(tmp_path / "nowhere")
    assert read_video(found, short_side=64).frames.shape == (12, 64, 80, 3)
    hidden = path.rename(tmp_path / "a.avi")  # by another name it is no video
    with pytest.raises(VideoError):
        read_video(hidden)


def test_a_missing_file_is_found_out_when_it_is_read(tmp_path: Path) -> None:
    assert find_inputs(str(tmp_path / "no.mp4")) == [(tmp_path / "no.mp4", "no.mp4")]


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


def test_all_verbs_take_the_same_lists(folder: Path) -> None:
    text, table = folder / "list.txt", folder / "list.csv"
    text.write_text("a/one.mp4\nb/two.avi\na/one.mp4\n", encoding="utf-8")
    table.write_text("path,label\na/one.mp4,x\nb/two.avi,y\na/one.mp4,x\n", encoding="utf-8")
    for listed in (text, table):
        assert names(listed) == ["a/one.mp4", "b/two.avi"]  # each once
        assert videos_of(listed) == find_inputs(str(listed))
    table.write_text("path,label\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="lists no video"):
        find_inputs(str(table))


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])  # Windows writes all three
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_may_come_from_any_editor(folder: Path, coding: str, end: str) -> None:
    listed = folder / "list.txt"
    listed.write_bytes(end.join(["a/one.mp4", "b", ""]).encode(coding))
    assert names(listed) == ["a/one.mp4", "two.avi"]


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_each_part_of_a_path_may_have_its_own_unicode_form(
    tmp_path: Path, forms: tuple[str, str]
) -> None:
    path = tmp_path / normalize(forms[0], "caf\u00e9") / normalize(forms[1], "\u00fc.mp4")
    path.parent.mkdir()
    path.write_bytes(b"x")
    for asked in ("NFC", "NFD"):
        ((video, _),) = find_inputs(normalize(asked, str(path)))
        assert Path(video).samefile(path)


def test_what_is_left_out_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    listed = folder / "list.txt"
    listed.write_text("#1.mp4\na/one.mp4\n", encoding="utf-8")
    assert names(listed) == ["a/one.mp4"]
    assert "left out: lines that begin with # (1)" in caplog.text
    caplog.clear()
    assert names(folder / "*") == [str(folder / "four [1].mp4").lstrip("/"),
                                   str(listed).lstrip("/")]  # fmt: skip
    assert "left out: folders (2; " in caplog.text
    caplog.clear()
    find_videos(folder, by_name=True)
    for which in ("hidden folders (1: .hidden)", ".doc files (1: a/notes.doc)"):
        assert which in caplog.text


def test_cameras_and_streams() -> None:
    camera = find_inputs("0")
    assert camera == "0"
    with pytest.raises(UsageError, match="--allow-network"):
        find_inputs("rtsp://host/stream")
    assert find_inputs("rtsp://host/stream", allow_network=True) == "rtsp://host/stream"
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
    with pytest.raises(UsageError, match=r"out\.avi: expected .*\.mp4"):
        output_paths(Path("out.avi"), ["a.avi"], ".mp4")
    assert output_paths(Path("run.2"), ["a.avi"], ".mp4") == [Path("run.2/a.mp4")]
