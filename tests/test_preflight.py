"""Mistakes on the command line: refused before torch is loaded, with what was meant; nothing is left behind."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import pixelry as px
from pixelry import cli, cli_pixels, declared, plugins
from pixelry.data.builtin import BUILT_IN
from pixelry.data.known import BUILT_IN_NAMES
from pixelry.errors import ImageError, UsageError
from pixelry.pixels import write_image

SOURCE = Path(px.__file__).parent
# Each with its exit code and what is said.
EARLY = [
    ("train clasify --data digits", 2, "did you mean 'classify'"),
    ("train classify --data digits --network resnt18", 2, "did you mean 'resnet18'"),
    ("train classify --data digits --network unet", 2, "unet is no network for classify"),
    ("train classify --data digits --set batsch=3", 2, "did you mean 'batch'"),
    ("train classify --data digits --set lr=[", 2, "stays open"),
    ("train classify --data digits --set lr=-1", 2, "lr is -1"),
    ("train classify --data MNIST", 1, "did you mean 'mnist'"),
    ("train classify --data phots", 1, "did you mean 'photos'"),
    ("train classify --data digits --format vocc", 2, "unknown data format 'vocc'"),
    ("train classify --data digits --out full", 1, "not empty"),
    ("train classify --data digits --size 100000x100000", 2, "at most 16,384"),
    ("train classify --data digits --precision 8", 2, "precision is '8'"),
    ("train classify --data digits --devices 0", 2, "devices is '0'"),
    ("train classify --data digits --accelerator gqu", 2, "did you mean 'gpu'"),
    ("train classify --data digits --epochs 5 --minutes 2", 2, "one budget"),
    ("train classify --data digits --weights none.safetensors", 2, "no weights in none.safetensors"),
    ("train --resume full", 2, "no run to resume"),
    ("compare classify --data digits --networks cnn,resnt", 2, "unknown network 'resnt'"),
    ("compare classify --data digits --networks cnn:widht=3", 2, "did you mean 'width'"),
    ("evaluate full --data digits", 1, "there is no model file"),
    ("evaluate digits --data run", 2, "pixelry evaluate run --data digits"),
    ("predict photo.png run", 2, "pixelry predict run photo.png"),
    ("predict weights.pt photo.png", 1, "no model file of Pixelry's"),
    ("predict run photos.png", 1, "did you mean 'photo.png'"),
    ("predict run photo.png --out full", 1, "not empty"),
    ("generate run --count 0", 2, "count is 0"),
    ("inpaint photo.png run --mask photo.png", 2, "pixelry inpaint run photo.png"),
    ("networks clasify", 2, "did you mean 'classify'"),
    ("data show digts", 1, "did you mean 'digits'"),
    ("data show digits --out photo.png", 1, "photo.png exists"),
    ("data check digts", 1, "did you mean 'digits'"),
    ("data convert digits out --to coc", 2, "did you mean 'coco'"),
    ("tour --out full", 1, "not empty"),
]
RUN_ALL = """
import contextlib, io, json, sys
from pixelry import cli
answers = []
for line in json.load(sys.stdin):
    sys.argv, said = ["pixelry", *line.split()], io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    heavy = sorted({"torch", "lightning", "sklearn"} & set(sys.modules))
    answers.append((code, said.getvalue(), heavy))
print(json.dumps(answers))
"""


def test_mistakes_are_refused_before_torch_is_loaded(here: Path) -> None:
    (here / "full").mkdir()
    (here / "full" / "file.txt").touch()
    (here / "run").mkdir()
    (here / "run" / "model.safetensors").touch()
    write_image(here / "photo.png", np.zeros((2, 2), np.uint8))
    lines = json.dumps([line for line, _, _ in EARLY])
    done = subprocess.run([sys.executable, "-c", RUN_ALL], input=lines, capture_output=True, text=True, check=True)
    for (line, code, message), (got, said, heavy) in zip(EARLY, json.loads(done.stdout), strict=True):
        assert (got, heavy) == (code, []), f"{line}: {said}"
        assert message in said, f"{line}: {said}"
    assert {path.name for path in here.iterdir()} == {"full", "run", "photo.png"}


def test_what_source_declares_is_what_modules_have() -> None:
    assert set(BUILT_IN_NAMES) == set(BUILT_IN)
    for name in plugins.networks.names():
        assert declared.tasks_of(name) == set(plugins.networks.load(name).RECIPES), name
    for task in plugins.tasks.names():
        assert tuple(sorted(declared.networks_for(task))) == plugins.network_names(task)
        options = declared.options_of_task(task)
        for network in plugins.network_names(task):
            assert options is not None
            assert set(plugins.task_for(task, network).settable()) <= options, (task, network)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("train classify --data digits --lr 0.1", "--set lr=0.1"),
        ("train classify --data digits --batch-size 32", "--set batch=32"),
        ("train classify --data digits --learning-rate=0.1", "--set lr=0.1"),
        ("train classify --data digits --label-smothing 0.1", "--set label_smoothing=0.1"),
        ("train classify --data digits --imgsz 64", "--size 64"),
        ("train classify --data digits --size 64 64", "--size 64x64"),
        ("train classify --data digits --model cnn", "--network cnn"),
        ("train classify --data digits --output x", "--out x"),
        ("train classify --data digits --gpu", "--accelerator gpu"),
        ("train classify --data digits --netwrk cnn", "--network?"),
        ("train classify --data digits --quiet", "--no-progress"),
        ("train classify --data digits --set lr=0.1 width=3", "--set lr=0.1 --set width=3"),
        ("train classify digits", "--data digits"),
        ("train classify --data digits --epochs 1.5", "--epochs is '1.5'; expected a whole number"),
        ("compare classify --data digits --networks cnn logistic", "--networks cnn,logistic"),
        ("predict run a.png --conf 0.4", "--confidence 0.4"),
        ("predict --model run a.png", "given without a flag"),
        ("generate run -n 5", "--count 5"),
        ("data show digits --overwrite", "nothing that is there is overwritten"),
        ("trian", "did you mean 'train'"),
        ("predict run", "Missing argument"),
    ],
)
def test_what_was_meant_is_named(run: Any, words: str, hint: str) -> None:
    said = run(*words.split())
    assert said.code == 2
    assert hint in said.err


def flags_of(command: Any) -> set[str]:
    found = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    return found.union(*(flags_of(inner) for inner in getattr(command, "commands", {}).values()), {"--help"})


def test_flags_in_messages_exist() -> None:
    pixels = typer.Typer()
    cli_pixels.register(pixels)
    known = flags_of(typer.main.get_command(cli.app)) | flags_of(typer.main.get_command(pixels))
    for file in SOURCE.rglob("*.py"):
        if file.name == "cli_hints.py":
            continue  # about the flags of other programs
        nodes = list(ast.walk(ast.parse(file.read_text())))
        docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
        texts = [node.value for node in nodes if isinstance(node, ast.Constant) and node not in docstrings]
        for text in (text for text in texts if isinstance(text, str)):
            # --px-... are colors of the reports, in CSS.
            named = set(re.findall(r"(?<![\w-])--(?!px-)[a-z][a-z-]*[a-z](?![\w-])", text))
            assert named <= known, f"{file.name}: {named - known}"


def test_what_was_predicted_before_a_broken_image_is_kept(run: Any, few_digits: Any, here: Path) -> None:
    model = px.train("classify", few_digits, network="logistic", steps=1, out="run", progress=False)
    for number in range(5):
        write_image(here / "in" / f"{number}.jpg", np.full((8, 8), 40 * number, np.uint8))
    broken = here / "in" / "3.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    said = run("predict", "run", "in", "--out", "out")
    assert said.code == 1
    assert "3.jpg" in said.err
    assert "3 of 5 images are done and kept in out; --skip-errors" in said.err
    assert len((here / "out" / "predictions.jsonl").read_text().splitlines()) == 3
    assert {"predictions.csv", "sheet.png"} <= {path.name for path in (here / "out").iterdir()}
    said = run("predict", "run", "in", "--out", "all", "--skip-errors")
    assert (said.code, len(said.out.splitlines())) == (1, 4)
    with pytest.raises(ImageError, match=r"3\.jpg.*skip_errors=True"):
        model.predict("in")
    assert len(model.predict("in", skip_errors=True)) == 4


def test_an_unforeseen_error_is_a_sentence_and_a_log(
    run: Any, here: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def fault() -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("pixelry.data.catalog.describe_catalog", fault)
    said = run("data", "list")
    assert said.code == 70
    assert "KeyError: 'surprise'" in said.err
    (log,) = (cache / "logs").iterdir()
    assert str(log) in said.err
    assert "Traceback" in log.read_text()
    (here / "file").touch()  # a cache that cannot be written
    monkeypatch.setenv("PIXELRY_CACHE", str(here / "file"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(here / "temporary"))
    assert str(here / "temporary") in run("data", "list").err


def test_memory_that_ends_is_no_fault(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault() -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr("pixelry.data.catalog.describe_catalog", fault)
    said = run("data", "list")
    assert said.code == 1
    assert "out of memory" in said.err


def test_a_run_that_fails_at_once_leaves_no_folder(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("train", "classify", "--data", "digits", "--network", "cnn", "--set", "width=0", "--out", "o").code == 2
    assert run("train", "classify", "--data", "digits", "--set", "mixup=nan", "--out", "o").code == 2
    assert run("train", "classify", "--data", "digits", "--strategy", "dpp", "--out", "o").code == 2

    def fault(*args: Any, **options: Any) -> None:
        raise UsageError("no such device")

    monkeypatch.setattr("pixelry.runs.fast_path_for", fault)
    words = ("classify", "--data", "digits", "--steps", 1, "--size", 8, "--out", "o/p")
    assert run("train", *words, "--network", "logistic").code == 2
    assert run("compare", *words, "--networks", "logistic").code == 2
    assert not list(here.iterdir())


def test_brackets_in_a_name_are_no_markup(run: Any, here: Path) -> None:
    words = ("--network", "logistic", "--steps", 1, "--precision", "32", "--memory-format", "contiguous")
    said = run("train", "classify", "--data", "digits", *words, "--out", "o[old]")
    assert said.code == 0, said.err
    assert "model: o[old]/model.safetensors" in said.err
    assert (here / "o[old]" / "model.safetensors").is_file()
