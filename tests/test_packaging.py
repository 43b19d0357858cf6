"""One list of dependencies, and a lock that was renewed when the list changed."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement

from reading_docs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_has_every_dependency_in_a_version_that_is_allowed() -> None:
    project = PROJECT["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    wanted = [*project["dependencies"], *extras, *PROJECT["dependency-groups"]["dev"]]
    locked: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            (pin,) = (requirement := Requirement(line)).specifier
            locked.setdefault(normal(requirement.name), []).append(pin.version)
    for requirement in map(Requirement, wanted):
        if requirement.name == "torch":  # its builds are installed apart
            assert "torch" not in locked
            continue
        versions = locked[normal(requirement.name)]
        assert all(map(requirement.specifier.contains, versions)), (str(requirement), versions)


def test_classifiers_and_hosted_tests_name_the_same_pythons() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    hosted = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    matrix = re.search(r"python: \[(.+)\]", hosted)
    assert matrix and re.findall(r"3\.\d+", matrix[1]) == named
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"
