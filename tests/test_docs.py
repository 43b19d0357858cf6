"""The documents say what is so: their commands run, their options exist, their pages build."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer.main
from typer.testing import CliRunner

from making_stores import PREPARATION
from making_videos import read_video, write_video
from reading_docs import DOCS, ROOT, Block, blocks, calls, code_in_lines, pages, words
from stresnet.cli import app
from stresnet.data.annotations.elan import to_elan
from stresnet.model import STResNet
from stresnet.training.recipes import QUICK, RECIPES

ASSETS = ROOT / "src" / "stresnet" / "assets"
CLASSES = ("fight", "noFight")
# Pages that a reader follows line by line; the others show forms: MODEL, DATA, [OPTION].
FOLLOWED = [DOCS / "quickstart.md", DOCS / "paper.md", *sorted((DOCS / "howto").glob("*.md"))]
NOTEBOOK = DOCS / "notebooks" / "first-steps.ipynb"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --------------------------------------------------------------------------------------------
# Options
# --------------------------------------------------------------------------------------------


def options_of(command: Any) -> set[str]:
    """Also `--help`, which is no parameter until it is asked for."""
    spelled = {each for one in command.params for each in (*one.opts, *one.secondary_opts)}
    return {each for each in spelled if each.startswith("-")} | {"-h", "--help"}


def verbs(group: Any) -> dict[str, set[str]]:
    """Every verb's options; a group's verbs as "idt evaluate"."""
    found = {}
    for name, command in group.commands.items():
        for below, options in verbs(command).items() if hasattr(command, "commands") else ():
            found[f"{name} {below}"] = options
        found[name] = options_of(command)
    return found


PROGRAM = typer.main.get_command(app)
VERBS = verbs(PROGRAM)


def what_is_wrong(call: list[str]) -> list[str]:
    """Of the words after `stresnet`: verbs and options that there are not."""
    verb = next((two for two in (" ".join(call[:2]), *call[:1]) if two in VERBS), None)
    if verb is None:
        is_a_form = not call or not re.fullmatch(r"[a-z]+|--?[\w-]+", call[0])
        known = options_of(PROGRAM) | {"--install-completion", "--show-completion"}
        return [] if is_a_form or call[0] in known else [call[0]]
    given = [word.split("=")[0] for word in call if re.match(r"--?[a-z]", word)]
    return [f"{verb} {option}" for option in given if option not in VERBS[verb]]


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_verb_and_option_that_a_document_names_exists(page: Path) -> None:
    lines = [line for block in blocks(page) if block.language in ("", "bash", "console", "text")
             for line in block.commands()]  # fmt: skip
    texts = [text for text in (*lines, *code_in_lines(page)) if "import" not in words(text)[:3]]
    assert [wrong for text in texts for call in calls(text) for wrong in what_is_wrong(call)] == []


def test_what_does_not_exist_is_found() -> None:
    (call,) = calls("torchrun -m stresnet train DATA --no-such-option=1 --seed 1 | tee log --x")
    assert what_is_wrong(call) == ["train --no-such-option"]
    assert what_is_wrong(["teach", "DATA"]) == ["teach"]
    assert what_is_wrong(["idt", "extract", "--fold"]) == ["idt extract --fold"]
    assert what_is_wrong(["VERB", "--help"]) == what_is_wrong(["--install-completion"]) == []


# --------------------------------------------------------------------------------------------
# Commands
# --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has: shipped clips, cut to 17 frames of few pixels, and a finished run."""
    root = tmp_path_factory.mktemp("reader")
    names = iter("abcdef")
    for label in CLASSES:
        (root / "clips" / label).mkdir(parents=True)
        for clip in sorted((ASSETS / "clips" / label).glob("*.mp4"))[:3]:
            frames = read_video(clip).frames[:17, ::4, ::4]
            height, width = (side // 2 * 2 for side in frames.shape[1:3])
            write_video(root / "clips" / label / f"{next(names)}.mp4", frames[:, :height, :width])
    shutil.copytree(root / "clips", root / "unsorted")
    (root / "unsorted" / "fight" / "broken.avi").write_text("no video")
    shutil.copy(root / "clips" / "fight" / "a.mp4", root / "clip.mp4")
    frames = read_video(root / "clip.mp4").frames
    write_video(root / "long.mp4", frames.repeat(2, axis=0), fps=8)
    shutil.copy(root / "clips" / "noFight" / "d.mp4", root / "new.mp4")
    (root / "new").mkdir()
    for clip in ("fight/b.mp4", "noFight/d.mp4"):
        shutil.copy(root / "clips" / clip, root / "new")
    marked = [(0.0, 1.0, "fight", None), (1.5, 2.5, "wave", None)]
    for number, part in enumerate(("train", "train", "test"), start=1):
        video = root / "recordings" / part / f"day{number}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        write_video(video, np.roll(frames, number, axis=0).repeat(2, axis=0), fps=8)
        video.with_suffix(".eaf").write_text(to_elan(marked, video), encoding="utf-8")
    for name, pool in (("two_stream", None), ("st_resnet", None), ("st_resnet_star", "pool5")):
        torch.manual_seed(0)
        net = STResNet(2, "tiny", input_size=32, temporal_pool=pool)  # type: ignore[arg-type]
        net.save_pretrained(
            root / "runs" / "mine" / name, class_names=CLASSES, preparation=PREPARATION, card="toy"
        )
    return root


@pytest.fixture
def reader(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """A folder to follow a page in, where training takes two steps a phase instead of hundreds."""
    phases = tuple(
        replace(phase, batch=2, norm_group=2, unit="iterations", schedule=((1e-3, 2),))
        for phase in QUICK.phases
    )
    monkeypatch.setitem(
        RECIPES, "quick", replace(QUICK, depth="tiny", input_size=32, phases=phases)
    )

    def follow(page: Path) -> Path:
        folder = tmp_path / "reader"
        shutil.copytree(made, folder)
        if page.name in ("quickstart.md", "README.md"):
            shutil.rmtree(folder / "runs")  # they train their own
        monkeypatch.chdir(folder)
        return folder

    return follow


def run_command(command: str, expected: int) -> None:
    """`stresnet` in this process, unless a shell has more to do than to keep its output."""
    said = words(command)
    program, out = (said[:-2], said[-1]) if ">" in said[-2:-1] else (said, None)
    if program[0] == "stresnet" and not {"|", "||", "&&", ";"} & set(said):
        done = CliRunner().invoke(app, program[1:])
        assert done.exit_code == expected, f"{command}\n{done.output}\n{done.exception!r}"
        if out:
            Path(out).write_text(done.stdout, encoding="utf-8")
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(["bash", "-c", command], env=os.environ | {"PATH": path}, check=False)
    assert ended.returncode == expected, command


def run_block(block: Block, python: dict[str, Any]) -> None:
    for module in block.marks.get("needs", "").split():
        pytest.importorskip(module)
    if name := block.marks.get("file"):
        Path(name).write_text(block.text, encoding="utf-8")
    elif block.language == "bash":
        for command in block.commands():
            run_command(command, expected=1 if "exit code 1" in block.marks else 0)
    elif block.language == "python":
        exec(compile(block.text, f"{block.page.name}:{block.line}", "exec"), python)


def follow(page: Path, *, slow: bool) -> None:
    python: dict[str, Any] = {}
    for block in blocks(page):
        if "not run" not in block.marks and (slow or "slow" not in block.marks):
            run_block(block, python)


LONG = {"long-videos.md"}  # takes more than ten seconds


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.slow) if p.name in LONG else p for p in FOLLOWED],
    ids=name_of,
)
def test_every_command_runs(page: Path, reader: Callable[[Path], Path]) -> None:
    reader(page)
    follow(page, slow=False)


SLOW = [page for page in FOLLOWED if any("slow" in block.marks for block in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW, ids=name_of)
def test_every_slow_command_runs(page: Path, reader: Callable[[Path], Path]) -> None:
    reader(page)
    follow(page, slow=True)


# The README shows forms; what a reader puts in for them, and what a test cannot put in.
FORMS = {"FOLDER": "clips", "VIDEOS": "clips", "MODEL": "runs/mine/st_resnet_star", "[--json]": ""}
CANNOT = (
    r"RESNET50|UCF101|UCF-101|HMDB51|MODEL 0|stresnet (serve|import|idt|export)|--with-idt|"
    "--install-completion"  # it writes into the shell's own files
)


@pytest.mark.slow
def test_the_readme_s_commands_run(reader: Callable[[Path], Path]) -> None:
    """But for those that need data sets, a camera, an extra, or do not end."""
    reader(ROOT / "README.md")
    shown = [command for block in blocks(ROOT / "README.md") for command in block.commands()]
    run = [each for each in shown if each.startswith("stresnet ") and not re.search(CANNOT, each)]
    assert len(run) >= 8
    for command in run:
        for form, given in FORMS.items():
            command = command.replace(form, given)
        run_command(command, expected=0)


# --------------------------------------------------------------------------------------------
# Notebook, site
# --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_notebook_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its outputs are text alone: rounded so that processors agree."""
    monkeypatch.chdir(tmp_path)
    python: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), python)
            shown = "".join(line for output in cell["outputs"] for line in output["text"])
            assert capsys.readouterr().out == shown


class Loaded(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of_tag = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
        self.addresses += [value or "" for key, value in attrs if key == of_tag.get(tag)]


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    for module in ("sphinx", "myst_nb", "furo"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-E", "-b", "html"]
    done = subprocess.run([*command, str(DOCS), str(tmp_path / "site")], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert [each for each in loaded.addresses if re.match(r"(\w+:)?//", each)] == []
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(@import|url\()\W*(https?:)?//", style.read_text(encoding="utf-8"))
