"""Table 4's rows with IDT: scores matched by name, fused by section 4.2, and in the report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.comparison import Comparison, Entry, EvaluationResult
from stresnet.evaluation.models import in_folds
from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.report import console_table, table_cells, write_report
from stresnet.evaluation.report.summary import summarise
from stresnet.evaluation.score_files import ScoreTable
from stresnet.evaluation.with_idt import TWO_CLASSES, add_idt, rule


def compared(classes: int = 3, videos: int = 9, folds: int = 1) -> Comparison:
    results = []
    names = tuple(f"class {k}" for k in range(classes))
    if classes == 101:
        names = ("ApplyEyeMakeup", "HandstandPushups", "YoYo", *names[3:])
    for fold in range(folds):
        rng = np.random.default_rng(fold)
        truth = np.arange(videos) % classes
        right = np.eye(classes)[truth]
        scores = {
            row: (right + rng.normal(size=right.shape)).astype(np.float32)
            for row in ("appearance", "motion", "fused")
        }
        of_videos = tuple(f"fold{fold}/{n}" for n in range(videos))
        results.append(EvaluationResult(names, of_videos, truth, scores, seconds=np.ones(videos)))
    entry = Entry("star", "ST-ResNet*", PAPER, tuple(results))
    numbers = (None,) if folds == 1 else tuple(range(1, folds + 1))
    return Comparison("data", numbers, (entry,), None, Path("no store"))


def idt_of(result: EvaluationResult, seed: int = 7) -> ScoreTable:
    """Scores of the same videos and classes, and of more videos, in another order."""
    rng = np.random.default_rng(seed)
    names = (*reversed(result.names), "another")
    classes = result.class_names[::-1]
    truth = np.array([*(len(classes) - 1 - result.truth[::-1]), 0])
    scores = np.eye(len(classes))[truth] + rng.normal(size=(len(names), len(classes)))
    return ScoreTable("idt.npz", names, scores, classes, truth)


def in_order(table: ScoreTable) -> np.ndarray:
    return table.scores[-2::-1, ::-1]


def unit(scores: np.ndarray) -> np.ndarray:
    return scores / np.linalg.norm(scores, axis=1, keepdims=True)


def test_scores_are_matched_by_name_normalised_and_averaged():
    comparison = compared()
    (result,) = comparison.main.results
    table = idt_of(result)
    alone, fused = add_idt(comparison, [table]).idt
    np.testing.assert_allclose(alone.scores(), in_order(table), rtol=1e-6)
    expected = (unit(result.scores["fused"]) + unit(in_order(table))) / 2
    np.testing.assert_allclose(fused.scores(), expected, rtol=1e-5)
    assert alone.names == fused.names == result.names
    assert fused.rows == alone.rows == ("fused",)


def test_two_classes_are_averaged_as_probabilities_and_that_is_said():
    comparison = compared(classes=2)
    (result,) = comparison.main.results
    margins = np.linspace(-2, 2, 9)
    table = ScoreTable("idt", result.names, np.stack([margins, -margins], axis=1))
    # The paper's rule would hear the machines only:
    by_the_paper = unit(result.scores["fused"]) + unit(table.scores + 1e-9)
    assert (by_the_paper.argmax(axis=1) == table.scores.argmax(axis=1)).all()
    joined = add_idt(comparison, [table])
    assert joined.warnings == (TWO_CLASSES,)
    probabilities = 1 / (1 + np.exp(-2 * margins))
    network = result.scores["fused"].astype(float)
    of_network = 1 / (1 + np.exp(network[:, 1] - network[:, 0]))
    found = joined.idt[1].scores()[:, 0]
    np.testing.assert_allclose(found, (probabilities + of_network) / 2, rtol=1e-5)
    assert rule(["a", "b"]) == "softmax" and rule(["a", "b", "c"]) == "l2"


def test_what_does_not_fit_is_named():
    comparison = compared()
    (result,) = comparison.main.results
    table = idt_of(result)
    with pytest.raises(DatasetError, match=r"idt.npz: video 'fold0/0' and 1 more is missing"):
        add_idt(comparison, [replace(table, names=("x", *table.names[1:-2], "y", "z"))])
    strange = (*table.class_names[:-1], "other")
    with pytest.raises(DatasetError, match=r"idt.npz: class 'class 0' is missing"):
        add_idt(comparison, [replace(table, class_names=strange)])
    wider = np.pad(table.scores, ((0, 0), (0, 1)))
    with pytest.raises(DatasetError, match="class 'more' is missing"):
        add_idt(
            comparison,
            [replace(table, scores=wider, class_names=(*table.class_names, "more"))],
        )
    other = (table.truth + 1) % 3
    with pytest.raises(DatasetError, match="has another true class"):
        add_idt(comparison, [replace(table, truth=other)])


def test_each_fold_has_a_table():
    comparison = compared(folds=2)
    joined = add_idt(comparison, [idt_of(result) for result in comparison.main.results])
    assert [len(result.names) for result in joined.idt[1].results] == [9, 9]
    assert in_folds("idt{fold}.csv", comparison.folds) == ["idt1.csv", "idt2.csv"]
    with pytest.raises(UsageError, match=r"idt.csv would serve 2 folds"):
        in_folds("idt.csv", (1, 2))
    with pytest.raises(UsageError, match="asks for a fold"):
        in_folds("idt{fold}.csv", (None,))


def test_the_report_has_the_rows_beside_table_4s_numbers(tmp_path):
    comparison = compared(classes=101, videos=202)
    joined = add_idt(comparison, [idt_of(comparison.main.results[0])])
    said = write_report(joined, tmp_path)
    labels = [line[0] for line in table_cells(said)[1:]]
    assert labels[-2:] == ["improved dense trajectories (IDT)", "ST-ResNet* + IDT"]
    assert [line["paper"] for line in said["table"][-2:]] == [86.4, 94.6]
    assert said["table"][2]["paper"] == 93.46
    assert said["table"][-1]["seconds_per_video"] is None
    assert said["main"]["model"] == "star"
    assert "ST-ResNet* + IDT</td>" in (tmp_path / "index.html").read_text()
    assert console_table(said).row_count == 5


def test_without_idt_the_report_is_as_before():
    assert len(summarise(compared())["table"]) == 3
    assert compared().idt == ()
