"""Steps that are done once each.

A JSON file records the steps that are done and what each was done with. A step is skipped while
that holds and its result is there; a step that is done anew takes those after it off the record,
since they rest on its result.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stresnet.files import atomic_write


@dataclass(frozen=True)
class Step:
    """A piece of work; `work` itself goes on where it was stopped.

    Attributes:
        name: unique among the steps.
        arguments: what the result depends on, as JSON has it.
        result: a file or folder that is there when the step is done.
    """

    name: str
    arguments: Mapping[str, Any]
    result: Path
    work: Callable[[], object]


def run_steps(steps: Sequence[Step], record: Path, say: Callable[[str], None]) -> None:
    """Do, in order, the steps that are not done.

    Raises:
        EnvironmentProblem: the record cannot be written.
        What the steps raise; those before stay done.
    """
    done = _read(record)
    for place, step in enumerate(steps):
        arguments = json.loads(json.dumps(step.arguments))
        if done.get(step.name) == arguments and step.result.exists():
            say(f"{step.name}: done before")
            continue
        say(f"{step.name}:")
        earlier = {before.name for before in steps[:place]}
        done = {name: said for name, said in done.items() if name in earlier}
        _write(record, done)
        step.work()
        done[step.name] = arguments
        _write(record, done)


def _read(record: Path) -> dict[str, Any]:
    """What is recorded; a record that cannot be read says nothing, and costs only time."""
    try:
        said = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _write(record: Path, done: Mapping[str, Any]) -> None:
    with atomic_write(record) as partial:
        partial.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
