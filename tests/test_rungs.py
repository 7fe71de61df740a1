"""Rungs of a comparison: text to a network, its settings, and options of its training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pixelry as px
from pixelry.config import load_config
from pixelry.errors import PixelryError, UsageError
from pixelry.rungs import check_rung, folder_name, parse_rung


def test_a_rung_has_settings_and_options_of_training() -> None:
    assert parse_rung("cnn") == ("cnn", {}, {})
    assert parse_rung("cnn:width=8:freeze=backbone:size=32:lr=1e-3") == (
        "cnn", {"width": 8, "lr": 1e-3}, {"freeze": "backbone", "size": (32, 32)},
    )  # fmt: skip
    assert folder_name("resnet18:weights=imagenet:size=64x96") == "resnet18-weights-imagenet-size-64x96"
    check_rung("resnet18:weights=imagenet:freeze=0.3", "classify", {"lr": 0.1})


@pytest.mark.parametrize(
    ("rung", "message"),
    [
        ("resnet18:weights=imagnet", "weights 'imagnet' are no file, and resnet18 has imagenet"),
        ("cnn:weights=imagenet", "weights 'imagenet' are no file, and cnn has none by name"),
        ("cnn:freeze=head", "freeze is 'head'; expected 'backbone'"),
        ("cnn:freeze=2", "freeze is 2"),
        ("cnn:size=big", "a size is one number or HEIGHTxWIDTH"),
        ("cnn:weight=imagenet", "unknown setting 'weight'"),
        ("cnn:weights", "key=value"),
    ],
)
def test_what_a_rung_cannot_have(rung: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_rung(rung, "classify", {})


def test_compare_trains_each_rung_with_its_own(squares: px.Dataset, here: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "progress": False}
    first = px.train("classify", squares, network="cnn", settings={"width": 4}, size=(8, 8), out="first", **settings)
    rung = f"cnn:weights={first.path}:width=4:freeze=backbone:size=8x12"
    found = px.compare("classify", squares, networks=[rung, "logistic"], size=(10, 10), out="c", **settings)
    assert {entry["network"] for entry in json.loads((here / "c/comparison.json").read_text())["networks"]} == {
        rung, "logistic",
    }  # fmt: skip
    by_name = {entry.network: load_config(Path(entry.folder) / "config.yaml") for entry in found.rungs}
    assert by_name[rung].data.size == (8, 12)
    assert by_name[rung].freeze == 1
    assert by_name[rung].weights == str(first.path)
    assert by_name["logistic"].data.size == (10, 10)
    with pytest.raises(PixelryError, match="has imagenet"):
        px.compare("classify", squares, networks=["logistic", "resnet18:weights=coco"], out="d", **settings)
    assert not (here / "d").exists()
