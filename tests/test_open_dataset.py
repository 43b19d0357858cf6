"""Laws of reading data sets: layouts, official lists and CSV."""

import csv
import logging
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from stresnet.data.splits.checks import check
from stresnet.data.splits.csv_list import csv_list
from stresnet.data.splits.official import hmdb51, ucf101
from stresnet.data.splits.open import folder_per_class, open_dataset
from stresnet.data.splits.split import VideoItem
from stresnet.errors import DatasetError, UsageError
from stresnet.files import require_writable


def write(root: Path, *names: str) -> Path:
    """Files under `root` that all differ in content."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(path))
    return root


def names(items: Iterable[VideoItem]) -> list[str]:
    return [item.name for item in items]


# Folder per class


def test_a_folder_per_class(tmp_path: Path) -> None:
    write(tmp_path, *(f"run/{n}.mp4" for n in range(10)), *(f"jump/{n}.AVI" for n in range(5)))
    split = folder_per_class(tmp_path)
    assert split.class_names == ("jump", "run")
    assert Counter(item.label for item in split.test) == {"run": 2, "jump": 1}
    assert len(split.train) == 12
    assert not set(names(split.train)) & set(names(split.test))
    for item in split.train + split.test:
        assert item.name == f"{item.label}/{item.path.name}"
        assert item.path == tmp_path / item.name
    assert check(split) == ()


def test_what_is_no_video_is_skipped(tmp_path: Path) -> None:
    root = write(
        tmp_path / "root",
        *("run/a.mp4", "run/b.mp4", "run/deep/c.mp4", "walk/d.mp4", "walk/e.mp4"),
        *("run/.hidden.mp4", "run/notes.txt", "run/.cache/f.mp4", ".git/g.mp4", "h.mp4"),
        *("run/folder.mp4/readme", "run/._a.mp4"),
    )
    write(tmp_path / "outside", "i.mp4")
    os.mkfifo(root / "run/pipe.mp4")
    (root / "run/inside_link.mp4").symlink_to(root / "walk/d.mp4")
    (root / "run/outside_link.mp4").symlink_to(tmp_path / "outside/i.mp4")
    (root / "run/loop.mp4").symlink_to(root / "run/loop.mp4")
    (root / "run/dangling.mp4").symlink_to(root / "nowhere.mp4")
    (root / "run/folder_link").symlink_to(tmp_path / "outside", target_is_directory=True)
    (root / "swim").symlink_to(tmp_path / "outside", target_is_directory=True)
    split = folder_per_class(root)
    assert sorted(names(split.train + split.test)) == [
        *("run/a.mp4", "run/b.mp4", "run/deep/c.mp4", "run/inside_link.mp4"),
        *("walk/d.mp4", "walk/e.mp4"),
    ]
    assert split.class_names == ("run", "walk")


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING", "train_set"])
@pytest.mark.parametrize(
    "held_out",
    [
        "test",
        "Val",
        "valid",
        "VALIDATION",
        "dev",
        "Testing",
        "Test-Videos",
        "valset",
        "val_256",
        "held-out",
        "2_test",
    ],
)
def test_folders_train_and_test(tmp_path: Path, train: str, held_out: str) -> None:
    write(tmp_path, f"{train}/run/a.mp4", f"{train}/walk/b.mp4", f"{held_out}/run/a.mp4")
    split = folder_per_class(tmp_path)
    assert split.class_names == ("run", "walk")
    assert names(split.train) == [f"{train}/run/a.mp4", f"{train}/walk/b.mp4"]
    assert names(split.test) == [f"{held_out}/run/a.mp4"]


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ("train", "no folder of test"),
        ("Training", "no folder of test"),
        ("val", "no folder of training"),
    ],
)
def test_a_part_of_a_split_alone_says_what_is_missing(
    tmp_path: Path, there: str, missing: str
) -> None:
    write(tmp_path, f"{there}/run/a.mp4", f"{there}/walk/b.mp4")
    for _ in range(2):
        with pytest.raises(DatasetError, match=f"holds {there}, but {missing}"):
            folder_per_class(tmp_path)
        write(tmp_path, "runs/train/run.json", "store/d-1/x/0.mp4.zip")


def test_parts_that_are_not_used_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    write(tmp_path, *(f"{part}/run/a.mp4" for part in ("train", "test", "val")))
    folder_per_class(tmp_path)
    assert "not used beside train: val" in caplog.text


def test_classes_are_called_what_they_are_called(tmp_path: Path) -> None:
    """A class may have the name of a part, if other classes have not."""
    write(tmp_path, *(f"{label}/{n}.mp4" for label in ("train", "plane") for n in range(2)))
    assert folder_per_class(tmp_path).class_names == ("plane", "train")


def test_the_same_folders_in_every_folder_are_the_classes(tmp_path: Path) -> None:
    write(tmp_path, *(f"{who}/{what}/a.mp4" for who in ("ann", "bob") for what in ("run", "walk")))
    with pytest.raises(DatasetError, match=r"\(ann, bob\) holds the same folders \(run, walk\)"):
        folder_per_class(tmp_path)
    write(tmp_path, "ann/jump/a.mp4")  # which the other lacks
    with pytest.raises(DatasetError, match=r"\(ann, bob\) holds the same folders \(run, walk\)"):
        folder_per_class(tmp_path)
    one = write(tmp_path / "one", *(f"{k}/videos/{n}.mp4" for k in ("x", "y") for n in range(2)))
    assert folder_per_class(one).class_names == ("x", "y")


def test_the_classes_may_be_one_folder_further_down(tmp_path: Path) -> None:
    write(tmp_path, *(f"UCF-101/{label}/a.mp4" for label in ("run", "walk")))
    with pytest.raises(DatasetError, match=r"seem to be in it: run, walk. Fix: give .*UCF-101"):
        folder_per_class(tmp_path)


@pytest.mark.parametrize("above", ["run", "data"])
def test_parts_of_a_split_below_the_classes_are_refused(tmp_path: Path, above: str) -> None:
    write(tmp_path, *(f"{k}/{p}/a.mp4" for k in (above, "walk") for p in ("Train", "val")))
    with pytest.raises(DatasetError, match="training and of test videos are below"):
        folder_per_class(tmp_path)


def test_folders_of_the_system_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path, *(f"{label}/{n}.mp4" for label in ("run", "walk") for n in range(5)))
    before = folder_per_class(tmp_path)
    for name in ("__MACOSX", "@eaDir", "lost+found", "System Volume Information", "$RECYCLE.BIN"):
        write(tmp_path, f"{name}/a.mp4", f"run/{name}/a.mp4")
    assert folder_per_class(tmp_path) == before


def test_links_are_named_before_there_are_no_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write(tmp_path, "pool/run/a.mp4", "data/notes.txt")
    (tmp_path / "data/run").symlink_to(tmp_path / "pool/run")
    with pytest.raises(DatasetError, match="holds no class folders"):
        folder_per_class(tmp_path / "data")
    assert "left out: links to folders (1)" in caplog.text


@pytest.mark.parametrize(
    "ours",
    ["runs/train/run.json", "report/report.json", "out/explanation.npz", "store/d-1/x/0.mp4.zip"],
)
def test_what_this_program_wrote_is_no_class(tmp_path: Path, ours: str) -> None:
    write(tmp_path, *(f"{label}/{n}.mp4" for label in ("run", "walk") for n in range(5)))
    before = folder_per_class(tmp_path)
    write(tmp_path, ours)
    if not ours.endswith(".zip"):
        write(tmp_path, f"{Path(ours).parent}/hardest/a.mp4")
    assert folder_per_class(tmp_path) == before


def test_what_this_program_wrote_inside_a_class_costs_no_class(tmp_path: Path) -> None:
    write(tmp_path, *(f"{label}/{n}.mp4" for label in ("run", "walk") for n in range(5)))
    before = folder_per_class(tmp_path)
    write(tmp_path, "run/out/run.json", "run/out/a.mp4", "walk/0.mp4.zip")
    assert folder_per_class(tmp_path) == before


def test_a_job_that_has_only_begun_leaves_no_class(tmp_path: Path) -> None:
    write(tmp_path, *(f"{label}/{n}.mp4" for label in ("run", "walk") for n in range(5)))
    before = folder_per_class(tmp_path)
    require_writable(tmp_path / "runs/train")
    require_writable(tmp_path / "store/data-1")
    require_writable(tmp_path / "annotated", mark=False)  # of a single file
    write(tmp_path, "annotated/a.mp4")
    assert folder_per_class(tmp_path) == before


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        ("ucf_train", "ucf_val"),
        ("train_256", "val_256"),
        ("ucfTrain", "ucfTest"),
        ("trainRGB", "testRGB"),
        ("train+val", "test"),
        ("xtrain", "xtest"),
    ],
)
def test_parts_may_bear_the_name_of_their_data(tmp_path: Path, train: str, held_out: str) -> None:
    write(tmp_path, f"{train}/run/a.mp4", f"{train}/walk/b.mp4", f"{held_out}/run/c.mp4")
    if train == "xtrain":  # written as one word: classes
        assert folder_per_class(tmp_path).class_names == (held_out, train)
    else:
        assert folder_per_class(tmp_path).class_names == ("run", "walk")


def test_files_that_are_left_out_are_counted_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    other = (tmp_path / "elsewhere.mp4").absolute()
    root = write(tmp_path / "root", "run/a.wmv", "run/b.FLV", "walk/c.vob", "walk/d.ogv")
    write(root, "run/.a.mp4", "walk/e.rm", "walk/f.rm", "walk/.git/g.mp4")
    other.write_bytes(b"x")
    (root / "run/link.mp4").symlink_to(other)
    (root / "run/deep").symlink_to(tmp_path, target_is_directory=True)
    (root / "swim").symlink_to(tmp_path, target_is_directory=True)
    split = folder_per_class(root)
    assert len(split.train + split.test) == 4
    (line,) = [record.message for record in caplog.records if "left out" in record.message]
    for part in (
        "hidden files (1)",
        "hidden folders (1)",
        ".rm files (2)",
        "links out of the folder (1)",
    ):
        assert part in line
    assert "links to folders (2)" in line


def test_empty_classes_are_kept_for_the_check_to_name(tmp_path: Path) -> None:
    write(tmp_path, *(f"{label}/{n}.mp4" for label in ("run", "walk") for n in (1, 2)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"classes without training videos \(1\): empty"):
        check(folder_per_class(tmp_path))


def test_awkward_names_survive(tmp_path: Path) -> None:
    awkward = ["-rf.mp4", "a b\n;$(x).mp4", os.fsdecode(b"\xff\xfe.mp4"), "=1+1.mp4"]
    write(tmp_path, *(f"=x() y/{name}" for name in awkward), "z/a.mp4")
    split = folder_per_class(tmp_path)
    assert split.class_names == ("=x() y", "z")
    found = {item.path.name for item in split.train + split.test if item.label != "z"}
    assert found == set(awkward)


def test_folders_without_classes_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4")
    with pytest.raises(DatasetError, match=r"no class folders.*CLASS/video"):
        folder_per_class(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        folder_per_class(tmp_path / "nowhere")


# UCF101 and HMDB51


def write_ucf101(root: Path) -> Path:
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("1 Archery\r\n2 HandstandPushups\n")
    for fold, (train, test) in {1: ("g08", "g01"), 2: ("g01", "g08")}.items():
        (lists / f"trainlist{fold:02}.txt").write_text(
            f"Archery/v_Archery_{train}_c01.avi 1\n"
            f"HandStandPushups/v_HandStandPushups_{train}_c01.avi 2 \n\n"
        )
        (lists / f"testlist{fold:02}.txt").write_text(
            f"Archery/v_Archery_{test}_c01.avi\n"
            f"HandstandPushups/v_HandstandPushups_{test}_c01.avi\n"
        )
    for group in ("g01", "g08"):
        write(
            root,
            f"Archery/v_Archery_{group}_c01.avi",
            f"HandstandPushups/v_HandStandPushups_{group}_c01.avi",
        )
    return lists


def test_ucf101(tmp_path: Path) -> None:
    lists = write_ucf101(tmp_path)
    split = ucf101(tmp_path, lists, 1)
    assert split.class_names == ("Archery", "HandstandPushups")
    assert names(split.train) == [
        "Archery/v_Archery_g08_c01.avi",
        "HandstandPushups/v_HandStandPushups_g08_c01.avi",
    ]
    assert [item.source for item in split.train] == ["archery_g08", "handstandpushups_g08"]
    assert [item.label for item in split.test] == ["Archery", "HandstandPushups"]
    assert check(split) == ()
    assert {i.path for i in ucf101(tmp_path, lists, 2).train} == {i.path for i in split.test}


def test_ucf101_lists_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    lists = write_ucf101(tmp_path)
    with pytest.raises(UsageError, match="folds 1, 2 and 3"):
        ucf101(tmp_path, lists, 4)
    with pytest.raises(DatasetError, match=r"trainlist03.txt: cannot be read"):
        ucf101(tmp_path, lists, 3)
    # An off-by-one label, the commonest mistake of home-made lists.
    (lists / "trainlist01.txt").write_text("Archery/v_Archery_g08_c01.avi 0\n")
    with pytest.raises(DatasetError, match=r"has number 0, which is nothing.*they count from 1"):
        ucf101(tmp_path, lists, 1)
    (lists / "trainlist01.txt").write_text("Juggling/v_Juggling_g08_c01.avi 1\n")
    with pytest.raises(DatasetError, match=r"its class is not in classInd.txt"):
        ucf101(tmp_path, lists, 1)
    (lists / "classInd.txt").write_text("Archery\n")
    with pytest.raises(DatasetError, match="'Archery': expected two words"):
        ucf101(tmp_path, lists, 1)
    with pytest.raises(DatasetError, match="is not a folder"):
        hmdb51(tmp_path / "nowhere", write_hmdb51(tmp_path / "hmdb"), 1)


def write_hmdb51(root: Path) -> Path:
    lists = root / "splits"
    lists.mkdir(parents=True)
    (lists / "brush_hair_test_split1.txt").write_text("a!_0.avi 1 \n(b)_1.avi 2 \nc_2.avi 0 \n")
    (lists / "climb_stairs_test_split1.txt").write_text("d_0.avi 2 \ne_1.avi 1 \n")
    write(root, "brush_hair/a!_0.avi", "brush_hair/(b)_1.avi", "Climb_Stairs/D_0.avi")
    write(root, "climb_stairs/e_1.avi")
    return lists


def test_hmdb51(tmp_path: Path) -> None:
    lists = write_hmdb51(tmp_path)
    split = hmdb51(tmp_path, lists, 1)
    assert split.class_names == ("brush_hair", "climb_stairs")
    assert names(split.train) == ["brush_hair/a!_0.avi", "climb_stairs/e_1.avi"]
    assert names(split.test) == ["brush_hair/(b)_1.avi", "climb_stairs/D_0.avi"]
    assert check(split) == ()
    with pytest.raises(DatasetError, match="holds no"):
        hmdb51(tmp_path, lists, 2)
    (lists / "brush_hair_test_split1.txt").write_text("a!_0.avi 3\n")
    with pytest.raises(DatasetError, match="flag 3; expected 0, 1 or 2"):
        hmdb51(tmp_path, lists, 1)


def test_named_but_missing_videos_are_listed_together(tmp_path: Path) -> None:
    lists = write_ucf101(tmp_path)
    for group in ("g01", "g08"):
        (tmp_path / f"Archery/v_Archery_{group}_c01.avi").unlink()
    with pytest.raises(DatasetError, match=r"missing videos \(2\): .*_g01_c01.avi, .*_g08_c01.avi"):
        check(ucf101(tmp_path, lists, 1))


# CSV


def write_csv(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "list.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_csv_with_folds(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path,
        "path,label,source,fold\na.mp4,run,film,2\nb/c.mp4,walk,,1\nd.mp4,run,park,3\n",
    )
    split = csv_list(path, fold=2)
    assert split.test == (VideoItem(tmp_path / "a.mp4", "run", "a.mp4", "film"),)
    assert split.train[0] == VideoItem(tmp_path / "b/c.mp4", "walk", "b/c.mp4", None)
    assert names(csv_list(path).test) == ["b/c.mp4"]
    with pytest.raises(UsageError, match=r"no fold 4.*choose from 1, 2, 3"):
        csv_list(path, fold=4)


@pytest.mark.parametrize("separator", [";", "\t", ","])
@pytest.mark.parametrize("name", ["list.csv", "list.tsv"])
def test_lists_as_spreadsheets_save_them(tmp_path: Path, name: str, separator: str) -> None:
    """Where the decimal sign is a comma, a spreadsheet's .csv has semicolons."""
    cells = [["path", "label"], ["a; b, c.mp4", "run"], ["d,\te;.mp4", "walk"], ["f.mp4", "run"]]
    with (tmp_path / name).open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(cells)
    split = open_dataset(tmp_path / name)
    assert sorted(names([*split.train, *split.test])) == ["a; b, c.mp4", "d,\te;.mp4", "f.mp4"]


def test_csv_with_a_split_or_none(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path, " Path ,LABEL,split\n a.mp4 , run ,test\nb.mp4,walk,train\n", encoding="utf-8-sig"
    )
    split = csv_list(path)
    assert (names(split.train), names(split.test)) == (["b.mp4"], ["a.mp4"])
    assert split.class_names == ("run", "walk")
    with pytest.raises(UsageError, match="has no column fold"):
        csv_list(path, fold=1)

    rows = "".join(f"{n}.mp4,{'run' if n % 2 else 'walk'},film {n // 4}\n" for n in range(40))
    split = csv_list(write_csv(tmp_path, "path,label,source\n" + rows))
    assert len(split.test) == 8
    assert not {item.source for item in split.train} & {item.source for item in split.test}


def test_csv_paths_outside_its_folder_get_names_that_stay_inside(tmp_path: Path) -> None:
    inside = tmp_path / "lists"
    path = write_csv(inside, f"path,label\n../a.mp4,run\n{tmp_path}/b.mp4,run\n./c.mp4,run\n")
    split = csv_list(path)
    items = {item.path.name: item for item in split.train + split.test}
    within = str(tmp_path.resolve())[1:]
    assert items["a.mp4"].name == f"{within}/a.mp4"
    assert items["b.mp4"].name == f"{within}/b.mp4" and items["b.mp4"].path.is_absolute()
    assert items["c.mp4"].name == "c.mp4"


def test_all_faulty_csv_lines_are_listed(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "path,label,fold\n,run,1\n\na.mp4,,1\nb.mp4,run,first\nc.mp4,run\n")
    with pytest.raises(DatasetError) as caught:
        csv_list(path)
    message = str(caught.value)
    for line in ("line 2: path or label", "line 4: path or", "line 5: fold is 'first'", "line 6"):
        assert line in message
    path = write_csv(tmp_path, "path,label,split\n" + "a.mp4,run,maybe\n" * 12)
    with pytest.raises(DatasetError, match="expected train or test and 2 more"):
        csv_list(path)


@pytest.mark.parametrize(
    "text", ["path;label;fold\na.mp4;run;1.0\n;;\n", "path\tlabel\tfold\na.mp4\trun\t1\n\t\t\n"]
)
@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_csv_may_be_as_any_spreadsheet_writes_it(tmp_path: Path, text: str, coding: str) -> None:
    split = csv_list(write_csv(tmp_path, text, encoding=coding))
    assert split.test == (VideoItem(tmp_path / "a.mp4", "run", "a.mp4"),)


def test_a_csv_of_windows_is_read_elsewhere(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "path,label\nrun\\a.mp4,run\nrun\\b\\c.mp4,run\n")
    assert {item.name for item in csv_list(path).train + csv_list(path).test} == {
        "run/a.mp4",
        "run/b/c.mp4",
    }


def test_parts_in_a_csv_are_spelt_as_folders_may_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rows = "a.mp4,run,Training\nb.mp4,run,VAL\nc.mp4,run,test_set\nd.mp4,run,Val\n"
    split = csv_list(write_csv(tmp_path, "path,label,split\n" + rows))
    assert (names(split.train), names(split.test)) == (["a.mp4"], ["c.mp4"])
    assert "left out beside test: 2 of val" in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"video,class\na.mp4,run\n", b"path|label\na.mp4|run\n", b"path,label,label\n"]
)
def test_csv_without_the_two_columns_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="must name the columns path and label"):
        csv_list(path)


def test_unreadable_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"path,label\n\xff\xfe.mp4,run\n")
    with pytest.raises(DatasetError, match="cannot be read"):
        csv_list(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        csv_list(tmp_path / "nowhere.csv")
    path.write_text("path,label\n" + "a" * 200_000 + ",run\n")
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset(path)
    path.write_text("path,label\na\0b.mp4,run\n")
    with pytest.raises(DatasetError, match="a NUL is not text"):
        open_dataset(path)


# Recognition


def test_data_sets_are_recognised(tmp_path: Path) -> None:
    ucf_lists = write_ucf101(tmp_path / "ucf")
    hmdb_lists = write_hmdb51(tmp_path / "hmdb")
    folder = write(tmp_path / "own", "run/a.mp4", "run/b.mp4", "walk/c.mp4", "walk/d.mp4")
    path = write_csv(tmp_path / "csv", "path,label,fold\na.mp4,run,1\nb.mp4,walk,2\n")
    assert open_dataset(tmp_path / "ucf") == ucf101(tmp_path / "ucf", ucf_lists, 1)
    assert open_dataset(tmp_path / "ucf", fold=2, lists=ucf_lists) == ucf101(
        tmp_path / "ucf", ucf_lists, 2
    )
    assert open_dataset(tmp_path / "hmdb") == hmdb51(tmp_path / "hmdb", hmdb_lists, 1)
    assert open_dataset(folder) == folder_per_class(folder)
    assert open_dataset(folder, seed=3) == folder_per_class(folder, seed=3)
    assert open_dataset(path, fold=2) == csv_list(path, fold=2)


def test_videos_may_lie_beside_the_official_lists(tmp_path: Path) -> None:
    lists = write_ucf101(tmp_path / "ucf")
    for name in ("Archery", "HandstandPushups"):
        (tmp_path / "ucf/UCF-101").mkdir(exist_ok=True)
        (tmp_path / "ucf" / name).rename(tmp_path / "ucf/UCF-101" / name)
    split = open_dataset(tmp_path / "ucf", fold=1)
    assert check(split) == ()
    assert split.train[0].name == "Archery/v_Archery_g08_c01.avi"
    assert names(ucf101(tmp_path / "ucf/UCF-101", lists, 1).train) == names(split.train)


def test_what_is_not_recognised_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", "run/a.mp4", "walk/c.mp4")
    with pytest.raises(UsageError, match="has no folds"):
        open_dataset(folder, fold=1)
    with pytest.raises(UsageError, match="fold 0"):
        open_dataset(tmp_path / "ucf", fold=0, lists=write_ucf101(tmp_path / "ucf"))
    with pytest.raises(DatasetError, match="no official lists"):
        open_dataset(folder, lists=folder)
    with pytest.raises(DatasetError, match="no such folder or list"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"neither a folder nor a .csv"):
        open_dataset(folder / "run/a.mp4")


def test_a_negative_seed_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seed is -1; expected 0 or more"):
        open_dataset(tmp_path, seed=-1)


@pytest.mark.parametrize("listed", ["caf\u00e9", "cafe\u0301"])
def test_a_list_may_spell_a_name_in_either_unicode_form(tmp_path: Path, listed: str) -> None:
    write(tmp_path, "run/cafe\u0301.mp4", "walk/caf\u00e9.mp4")
    rows = [f"{label}/{listed}.mp4,{label}" for label in ("run", "walk")]
    (tmp_path / "list.csv").write_text("\ufeffpath,label\r\n" + "\r\n".join(rows), "utf-8")
    split = csv_list(tmp_path / "list.csv")
    assert all(item.path.is_file() for item in split.train + split.test)
