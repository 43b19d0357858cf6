"""Laws of seeded draws, and of the check before training."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stresnet.data.splits.checks import check
from stresnet.data.splits.csv_list import csv_list
from stresnet.data.splits.split import Split, VideoItem, draw_split
from stresnet.errors import DatasetError, UsageError


def item(root: Path, name: str, label: str, source: str | None = None) -> VideoItem:
    return VideoItem(root / name, label, name, source)


def write(root: Path, *names: str) -> None:
    """Files in `root` that all differ in content."""
    for name in names:
        (root / name).write_text(name)


def clips(label: str, count: int, source: Callable[[int], str | None] = lambda _: None) -> list:
    return [
        VideoItem(Path(f"{label}/{n}.avi"), label, f"{label}/{n}.avi", source(n))
        for n in range(count)
    ]


# Seeded draws


def test_a_draw_depends_on_seed_and_names_only() -> None:
    items = clips("run", 20) + clips("walk", 10)
    drawn = draw_split(items, 0.2, seed=0)
    assert draw_split(items[::-1], 0.2, seed=0) == drawn
    assert draw_split(items, 0.2, seed=1) != drawn
    grown = draw_split([*items, *clips("swim", 10)], 0.2, seed=0)
    assert set(drawn.test) <= set(grown.test)


@pytest.mark.parametrize(("count", "tested"), [(1, 0), (2, 1), (3, 1), (4, 1), (7, 1), (8, 2)])
def test_a_draw_leaves_something_to_train_and_test(count: int, tested: int) -> None:
    split = draw_split(clips("run", count), 0.2, seed=0)
    assert (len(split.train), len(split.test)) == (count - tested, tested)


@pytest.mark.parametrize("seed", range(10))
def test_a_draw_keeps_sources_together(seed: int) -> None:
    items = [
        *clips("run", 30, lambda n: f"film {n // 3}"),
        *clips("walk", 40, lambda n: f"film {n // 5}"),
    ]
    split = draw_split(items, 0.25, seed)
    assert not {item.source for item in split.train} & {item.source for item in split.test}
    for label, total in (("run", 30), ("walk", 40)):
        assert 1 <= sum(item.label == label for item in split.test) <= total / 4


def test_a_class_of_large_sources_gives_its_smallest() -> None:
    items = clips("run", 10, lambda n: "short" if n < 3 else "long") + clips("walk", 10)
    split = draw_split(items, 0.2, seed=0)
    assert {item.source for item in split.test if item.label == "run"} == {"short"}
    only = draw_split(clips("run", 4, lambda _: "film") + clips("walk", 10), 0.2, seed=0)
    assert {item.label for item in only.test} == {"walk"}


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2])
def test_a_fraction_outside_0_to_1_is_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        draw_split(clips("run", 3), fraction, seed=0)


# The check


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    (tmp_path / "link.mp4").symlink_to(tmp_path / "b.mp4")
    split = Split(
        ("run",),
        (
            item(tmp_path, "gone.mp4", "walk"),
            *(item(tmp_path, n, "walk") for n in ("a.mp4", "b.mp4")),
        ),
        (*(item(tmp_path, n, "walk") for n in ("copy.mp4", "link.mp4", "b.mp4")),),
    )
    with pytest.raises(DatasetError) as caught:
        check(split)
    message = str(caught.value)
    for problem in [
        "only one class (run)",
        "classes without training videos (1): run",
        f"missing videos (1): {tmp_path}/gone.mp4",
        "videos in both train and test (2): b.mp4, link.mp4",
        "equal contents in train and test (1): copy.mp4 = a.mp4",
        "Fix:",
    ]:
        assert problem in message
    assert "more than once" not in message


def test_repeated_videos_and_missing_classes_are_problems(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "b.mp4")
    twice = (item(tmp_path, "a.mp4", "run"), item(tmp_path, "a.mp4", "walk"))
    with pytest.raises(DatasetError, match=r"videos listed more than once \(1\): a.mp4"):
        check(Split(("run", "walk"), twice, ()))
    with pytest.raises(DatasetError, match="no classes"):
        check(Split((), (), ()))
    two = (item(tmp_path, "a.mp4", "run"), item(tmp_path, "b.mp4", "walk"))
    with pytest.raises(DatasetError, match=r"classes without training videos \(1\): empty"):
        check(Split(("empty", "run", "walk"), two, ()))


def test_long_lists_are_cut_short(tmp_path: Path) -> None:
    split = draw_split([item(tmp_path, f"{n:02}.mp4", "run") for n in range(25)], 0.2, 0)
    with pytest.raises(DatasetError, match=r"missing videos \(25\): .*09.mp4 and 15 more"):
        check(split)


def test_messages_can_be_printed_whatever_the_names(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.mp4")
    with pytest.raises(DatasetError, match=r"missing videos \(1\): .*udcff.mp4") as caught:
        check(Split(("run", "walk"), (item(tmp_path, name, "run"),), ()))
    assert str(caught.value).encode()


def test_doubtful_splits_are_warned_about(tmp_path: Path) -> None:
    write(tmp_path, *(f"{n}.mp4" for n in range(4)))
    split = Split(
        ("Run", "run", "walk"),
        (
            item(tmp_path, "0.mp4", "Run", "film"),
            item(tmp_path, "1.mp4", "run"),
            item(tmp_path, "2.mp4", "walk"),
        ),
        (item(tmp_path, "3.mp4", "walk", "film"),),
    )
    assert check(split) == (
        "classes without test videos (2): Run, run",
        "sources with videos in both train and test (1): film",
        "class names that look alike (1): 'Run' = 'run'",
    )


def test_the_same_file_under_two_labels_and_names_that_look_alike(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    items = (
        item(tmp_path, "a.mp4", composed),
        item(tmp_path, "b.mp4", decomposed),
        item(tmp_path, "copy.mp4", decomposed),
    )
    warnings = check(Split((decomposed, composed), items, items[:0]))
    assert f"equal contents under two labels (1): copy.mp4 ({decomposed}) = a.mp4 ({composed})" in (
        warnings
    )
    assert r"class names that look alike (1): 'cafe\u0301' = 'caf\xe9'" in warnings


@pytest.mark.parametrize(
    "alike",
    [("JumpRope", "jump rope", "jump_rope"), ("run", "run "), ("run", "run\u200b"), ("7", "07.0")],
)
def test_class_names_that_look_alike(tmp_path: Path, alike: tuple[str, ...]) -> None:
    items = tuple(
        item(tmp_path, f"{number}.mp4", label)
        for number, label in enumerate((*alike, "1.5", "15", "1-5", "a-b"))
    )
    write(tmp_path, *(each.name for each in items))
    names = tuple(sorted({each.label for each in items}))
    (found,) = (each for each in check(Split(names, items, ())) if "look alike" in each)
    assert found == f"class names that look alike (1): {' = '.join(map(repr, sorted(alike)))}"


def labelled(train: list[str], test: list[str]) -> Split:
    """One video of each label, prepared nowhere and not looked for."""
    items = [
        VideoItem(Path(f"{part}/{label}.mp4"), label, f"{part}/{label}.mp4")
        for part, labels in (("train", train), ("test", test))
        for label in labels
    ]
    return Split(tuple(sorted({*train, *test})), tuple(items[: len(train)]),
                 tuple(items[len(train) :]))  # fmt: skip


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def test_a_prepared_video_is_not_missing(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "store").mkdir()
    split = Split(
        ("run", "walk"),
        (item(tmp_path, "a.mp4", "run"), item(tmp_path, "gone.mp4", "walk")),
        (item(tmp_path, "b.mp4", "run"),),
    )
    with pytest.raises(DatasetError, match=r"missing videos \(1\)"):
        check(split, tmp_path / "store")
    write(tmp_path, "store/gone.mp4.zip")
    assert check(split, tmp_path / "store") == ("classes without test videos (1): walk",)


@pytest.mark.parametrize(("trained", "tested"), [((0, 100), (1, 101)), ((1, 101), (0, 100))])
def test_labels_off_by_one_are_told(trained: tuple[int, int], tested: tuple[int, int]) -> None:
    with pytest.raises(DatasetError, match=r"labels off by one: . to 10. in training, . to 10."):
        check(labelled(numbers(*trained), numbers(*tested)))


@pytest.mark.parametrize(
    ("trained", "tested"),
    [
        (numbers(0, 100), numbers(0, 100)),
        (numbers(0, 100), numbers(1, 100)),
        (numbers(1, 101), numbers(3, 103)),
        (["0", "walk"], ["1", "walk"]),
    ],
)
def test_other_labels_are_not_called_off_by_one(trained: list[str], tested: list[str]) -> None:
    with pytest.raises(DatasetError, match="missing videos") as caught:
        check(labelled(trained, tested))
    assert "off by one" not in str(caught.value)


def test_the_check_passes_the_doubts_on(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    train = (item(tmp_path, "a.mp4", "0"), item(tmp_path, "b.mp4", "1"))
    test = (item(tmp_path, "c.mp4", "0"), item(tmp_path, "d.mp4", "1"))
    (warning,) = check(Split(("0", "1"), train, test))
    assert warning.startswith("all labels are numbers (2 from 0 to 1)")
    train = (*train, item(tmp_path, "e.mp4", "1.0"))
    write(tmp_path, "e.mp4")
    warnings = check(Split(("0", "1", "1.0"), train, test))
    assert "class names that look alike (1): '1' = '1.0'" in warnings


@pytest.mark.parametrize(("name", "folds", "videos"), [("exercises", 3, 528), ("fights", 5, 238)])
def test_the_folds_of_the_results_share_no_source(name: str, folds: int, videos: int) -> None:
    path = Path(__file__).parents[1] / "benchmarks" / "folds" / f"{name}.csv"
    tested: list[str] = []
    for fold in range(1, folds + 1):
        split = csv_list(path, fold=fold, seed=0)
        assert {each.source for each in split.train}.isdisjoint(each.source for each in split.test)
        tested += [each.name for each in split.test]
    assert len(set(tested)) == len(tested) == videos
