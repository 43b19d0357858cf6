"""Late fusion of score files, ours and others'."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from stresnet.cli import app
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.fusion import fuse, normalised
from stresnet.evaluation.score_files import ScoreTable, read_scores, save_arrays, write_scores

A = ScoreTable(
    "a.npz",
    ("run/1.avi", "run/2.avi", "walk/1.avi"),
    np.array([[3.0, 4], [1, 0], [0, 2]]),
    ("run", "walk"),
    np.array([0, 0, 1]),
)
B = replace(A, origin="b.csv", scores=np.array([[0.0, 5], [-6, 8], [1, 1]]), truth=None)


def test_scores_are_averaged_as_they_are() -> None:
    fused = fuse([A, B])
    np.testing.assert_allclose(fused.scores, (A.scores + B.scores) / 2)
    assert (fused.names, fused.class_names) == (A.names, A.class_names)
    assert fused.truth is not None
    assert fused.truth.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,Truth,run,walk\na,fly,1,2\n", "the true class 'fly' has no column"),
        ("name,run,walk\n", "0 names"),
    ],
)
def test_what_a_table_lacks_is_said(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=problem):
        read_scores(path)


def test_one_file_alone(tmp_path: Path) -> None:
    write_scores(A, tmp_path / "a.csv")
    np.testing.assert_array_equal(fuse(str(tmp_path / "a.csv")).scores, A.scores)


def test_weights_are_shares() -> None:
    fused = fuse([A, B], weights=[1, 1.5])
    np.testing.assert_allclose(fused.scores, 0.4 * A.scores + 0.6 * B.scores)
    np.testing.assert_allclose(fuse([A, B], weights=[1, 0]).scores, A.scores)


def test_the_paper_s_fusion_with_idt_makes_every_video_s_scores_of_length_one() -> None:
    fused = fuse([A, B], normalise="l2")
    np.testing.assert_allclose(fused.scores[0], [0.3, 0.4 + 0.5])
    np.testing.assert_allclose(fused.scores[1], [0.5 - 0.3, 0.4])
    assert (normalised(np.zeros((1, 2)), "l2") == 0).all()


def test_probabilities_and_one_normalisation_a_file() -> None:
    fused = fuse([A, A], normalise=["raw", "softmax"])
    exponentials = np.exp(A.scores)
    expected = (A.scores + exponentials / exponentials.sum(1, keepdims=True)) / 2
    np.testing.assert_allclose(fused.scores, expected)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(B, names=("run/1.avi", "run/3.avi", "walk/1.avi")), r"b\.csv: video 'run/2\.avi'"),
        (
            replace(B, names=(*B.names, "x.avi"), scores=np.ones((4, 2))),
            r"a\.npz: video 'x\.avi' is missing",
        ),
        (
            replace(B, names=("run/2.avi", "run/1.avi", "walk/1.avi")),
            r"video 1 is 'run/2\.avi', expected 'run/1\.avi'",
        ),
        (replace(B, class_names=("walk", "run")), "class 1 is 'walk', expected 'run'"),
        (replace(B, class_names=("run", "swim")), "class 'walk' is missing"),
        (replace(B, class_names=(), scores=np.ones((3, 3))), "3 scores per video, expected 2"),
        (replace(B, truth=np.array([0, 1, 1])), r"run/2\.avi has another true class"),
    ],
)
def test_what_does_not_belong_together_is_named(other: ScoreTable, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fuse([A, other])


def softmaxed(table: ScoreTable) -> ScoreTable:
    return replace(table, origin="p.csv", scores=normalised(table.scores, "softmax"))


def percent(table: ScoreTable) -> ScoreTable:
    found = softmaxed(table)
    return replace(found, scores=(100 * found.scores).round(1))


@pytest.mark.parametrize(
    ("tables", "normalise", "warning"),
    [
        ([A, softmaxed(B)], "raw", "p.csv is averaged as probabilities, and a.npz is not"),
        ([A, percent(B)], "raw", "p.csv is averaged as probabilities, and a.npz is not"),
        ([softmaxed(A), percent(B)], "raw", "the mean follows the former"),
        ([A, B], ["raw", "softmax"], "b.csv is averaged as probabilities, and a.npz is not"),
        ([A, softmaxed(B)], ["l2", "raw"], "p.csv is averaged as probabilities"),
        ([A, softmaxed(B)], "softmax", "p.csv holds probabilities already"),
        ([softmaxed(softmaxed(replace(A, scores=3 * A.scores)))], "raw", "applied twice"),
        ([A, replace(B, scores=100 * B.scores)], "raw", "the mean follows the former"),
        ([A, B], "raw", ""),
        ([A, replace(B, scores=100 * B.scores)], "l2", ""),
        ([A, replace(B, scores=100 * B.scores)], "softmax", ""),
        ([A, replace(B, scores=np.eye(2)[[0, 1, 1]])], "l2", ""),  # votes
        ([softmaxed(A), softmaxed(B)], "raw", ""),
        ([A, softmaxed(B)], ["softmax", "raw"], ""),
    ],
)
def test_scores_on_different_scales_are_averaged_with_a_warning(
    tables: list[ScoreTable], normalise: Any, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    fuse(tables, normalise=normalise)
    assert len(caplog.messages) == bool(warning), caplog.messages
    assert warning in caplog.text


def test_classes_without_names_fit_any_of_their_number() -> None:
    assert fuse([replace(B, class_names=()), A]).class_names == A.class_names


@pytest.mark.parametrize("weights", [[1], [0, 0], [1, -1], [1, float("nan")]])
def test_weights_that_make_no_sense(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="weights"):
        fuse([A, B], weights=weights)


def test_other_arguments_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="raw, softmax, l2"):
        fuse([A, B], normalise=["l2"])
    with pytest.raises(UsageError, match="raw, softmax, l2"):
        fuse([A, B], normalise="l3")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no scores"):
        fuse([])


@pytest.mark.parametrize("ending", [".npz", ".csv"])
@pytest.mark.parametrize("table", [A, B])
def test_files_come_back_as_they_were(ending: str, table: ScoreTable, tmp_path: Path) -> None:
    path = tmp_path / f"scores{ending}"
    write_scores(table, path)
    read = read_scores(path)
    assert (read.names, read.class_names, read.origin) == (
        table.names,
        table.class_names,
        str(path),
    )
    np.testing.assert_array_equal(read.scores, table.scores)
    assert (read.truth is None) == (table.truth is None)
    assert read.truth is None or read.truth.tolist() == [0, 0, 1]


def test_a_stream_of_our_files(tmp_path: Path) -> None:
    path = tmp_path / "folder#1" / "ours.npz"
    save_arrays(path, names=np.array(A.names), fused=A.scores, motion=B.scores)
    np.testing.assert_array_equal(read_scores(path).scores, A.scores)
    np.testing.assert_array_equal(read_scores(f"{path}#motion").scores, B.scores)
    with pytest.raises(DatasetError, match="appearance"):
        read_scores(f"{path}#appearance")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", ""),
        ("a.csv", "clip,run\nx,1\n"),
        ("a.csv", "name,run,walk\nx,1\n"),
        ("a.csv", "name,run,walk\nx,1,two\n"),
        ("a.csv", "name,run,walk\nx,1,nan\n"),
        ("a.csv", "name,run,run\nx,1,2\n"),
        ("a.csv", "name,run,walk\nx,1,2\nx,1,2\n"),
        ("a.csv", "name,truth,run,walk\nx,swim,1,2\n"),
        ("a.npz", "no zip"),
        ("a.npz", "PK\x03\x04 the beginning of one"),
    ],
)
def test_a_file_that_is_not_as_described_is_refused(
    name: str, content: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=name):
        read_scores(tmp_path / name)


@pytest.mark.parametrize(("place", "value"), [(6, 1), (8, 99), (4, 255)])
def test_an_archive_that_calls_itself_encrypted_or_strange_is_refused(
    tmp_path: Path, place: int, value: int
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, names=np.array(["x"]), scores=np.array([[1.0, 2.0]]))
    content = bytearray(path.read_bytes())
    for start, shift in ((b"PK\3\4", 0), (b"PK\1\2", 2)):  # local and central
        content[content.index(start) + place + shift] = value
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.npz: cannot be read"):
        read_scores(path)
    with pytest.raises(DatasetError, match=r"b\.npz: cannot be read \(No such file"):
        read_scores(tmp_path / "b.npz")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", names=np.array(["x"]), scores=np.array([[print]], dtype=object))
    with pytest.raises(DatasetError, match="allow_pickle"):
        read_scores(tmp_path / "a.npz")


def test_other_endings_are_refused(tmp_path: Path) -> None:
    for place in ("a.pkl", "a.csv#motion"):
        with pytest.raises(UsageError, match=r"\.npz, \.csv; "):
            read_scores(tmp_path / place)
    with pytest.raises(UsageError, match="ending"):
        write_scores(A, tmp_path / "a.pkl")
    with pytest.raises(UsageError, match="names"):
        write_scores(replace(A, class_names=()), tmp_path / "a.csv")


def test_the_command_line_fuses(tmp_path: Path) -> None:
    a, b, out = tmp_path / "a.npz", tmp_path / "b.csv", tmp_path / "out.csv"
    write_scores(A, a)
    write_scores(B, b)
    options = ["--weights", "1,3", "--normalise", "raw,l2", "--out", str(out)]
    done = CliRunner().invoke(app, ["fuse", str(a), str(b), *options])
    assert done.exit_code == 0, done.stderr
    assert "66.7 %" in done.stdout  # a alone has two of three
    fused = read_scores(out)
    np.testing.assert_allclose(fused.scores[1], [0.25 - 0.45, 0.6])
    assert fused.truth is not None and fused.truth.tolist() == [0, 0, 1]

    for place in (a, f"{a}#appearance"):  # its own input would lose what fuse does not write
        kept = CliRunner().invoke(app, ["fuse", str(place), str(b), "--out", str(a)])
        assert kept.exit_code == 2 and "one of the files that are read" in kept.stderr
    long = tmp_path / ("long" * 30)
    long.mkdir()
    for table, name in ((A, "a.npz"), (A, "b.npz")):
        write_scores(table, long / name)
    both = [str(long / name) for name in ("a.npz", "b.npz")]
    shown = "".join(CliRunner().invoke(app, ["fuse", *both]).stdout.split())
    assert "a.npz" in shown and "b.npz" in shown  # rows can be told apart
    silent = CliRunner().invoke(app, ["fuse", str(b)])
    assert (silent.exit_code, silent.stdout) == (0, "")
    assert "nothing to show" in silent.stderr
    refused = CliRunner().invoke(app, ["fuse", str(a), "--weights", "much"])
    assert refused.exit_code == 2
