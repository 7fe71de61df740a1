"""What all tests share: a cache and a working folder of their own, and a small data set of real digits."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from pixelry import cli
from pixelry.data.catalog import load_dataset
from pixelry.data.dataset import Dataset, Split


class Said(NamedTuple):
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run the command line in this process; torch is imported once for all tests."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["pixelry", *map(str, words)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(code if isinstance(code, int) else 0, said.out, said.err)

    return call


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIXELRY_CACHE", str(folder))
        patch.delenv("PIXELRY_DATA", raising=False)
        yield folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, so that a run's default folder leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    # A run tells the processes that it starts where its folder is; one test's is not the next one's.
    monkeypatch.delenv("PIXELRY_RUN_FOLDER", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="session")
def few_digits(digits: Dataset) -> Dataset:
    """200 + 60 digits: enough to learn from, quick to train on."""
    splits = {"train": digits["train"].subset(range(200)), "test": digits["test"].subset(range(60))}
    return Dataset("few-digits", splits, digits.classes)


@pytest.fixture(scope="session")
def squares() -> Dataset:
    """Colour pictures 16x16 of two classes, a bright square left or right."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 80, (80, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(80) % 2
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 4:12, 8 * label : 8 * label + 8] += 150
    splits = {
        "train": Split(images[:60], {"label": labels[:60]}),
        "test": Split(images[60:], {"label": labels[60:]}),
    }
    return Dataset("squares", splits, ("left", "right"))
