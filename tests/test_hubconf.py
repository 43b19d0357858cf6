"""`torch.hub.load` of this checkout."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from stresnet.errors import UsageError
from stresnet.model import STResNet

CHECKOUT = Path(__file__).parents[1]


def load(entry: str, **arguments: Any) -> STResNet:
    return torch.hub.load(str(CHECKOUT), entry, source="local", **arguments)


def test_the_shipped_network() -> None:
    assert load("fight_recogniser").class_names == ("fight", "noFight")


def test_a_new_network_and_a_trained_one(tmp_path: Path) -> None:
    new = load("st_resnet", num_classes=2, depth="tiny")
    assert new.config["depth"] == "tiny"
    new.save_pretrained(tmp_path, class_names=["a", "b"], preparation={}, card="")
    assert load("st_resnet", pretrained=tmp_path).class_names == ("a", "b")
    with pytest.raises(UsageError, match="depth was given for the trained network"):
        load("st_resnet", pretrained=tmp_path, depth="tiny")


def test_a_new_network_is_where_it_was_asked_for() -> None:
    with pytest.raises(UsageError, match="nonsense"):
        load("st_resnet", num_classes=2, depth="tiny", device="nonsense")


def test_nothing_else_looks_like_an_entry() -> None:
    """torch.hub takes every public callable for one."""
    hubconf = runpy.run_path(str(CHECKOUT / "hubconf.py"))
    public = {name for name, value in hubconf.items() if callable(value) and name[0] != "_"}
    assert public == {"fight_recogniser", "st_resnet"}
    assert all(importlib.util.find_spec(name) for name in hubconf["dependencies"])
