"""Training from end to end: budgets, seeds, kills, interrupts, weights, processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pixelry as px
from pixelry.data.dataset import Split
from pixelry.errors import ExistsError, ModelError, TrainingError, UsageError

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "channels_last"}


def weights(model: px.Model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.network.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_network_learns_and_leaves_a_whole_folder(few_digits: px.Dataset, here: Path) -> None:
    model = px.train("classify", few_digits, network="cnn", epochs=20, out=here / "run", **FAST)
    assert model.evaluate(few_digits).metrics["accuracy"] > 0.85
    names = {path.name for path in (here / "run").iterdir()}
    assert names == {"config.yaml", "metrics.csv", "checkpoints", "model.safetensors", "index.html"}
    with (here / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["progress"]) == 1
    assert rows[-1]["val_accuracy"]


def test_last_validation_equals_evaluate(few_digits: px.Dataset, here: Path) -> None:
    model = px.train("classify", few_digits, network="cnn", epochs=3, out=here / "run", **FAST)
    report = px.evaluate(here / "run", few_digits, split="val")
    assert report.metrics == pytest.approx(dict(model.card.metrics), rel=1e-6)
    with (here / "run" / "metrics.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["val_accuracy"]) == report.metrics["accuracy"]
    assert float(last["val_nll_nats"]) == pytest.approx(report.metrics["nll_nats"], rel=1e-6)


def test_the_same_seed_gives_the_same_weights(few_digits: px.Dataset) -> None:
    runs = [weights(px.train("classify", few_digits, network="cnn", steps=5, seed=seed, **FAST)) for seed in (3, 3, 4)]
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_ema_and_other_optimisers_and_clip_and_blending(few_digits: px.Dataset, optimizer: str) -> None:
    settings = {"ema": 0.1, "optimizer": optimizer, "lr": 0.003, "clip": 1.0, "batch": 16, "mixup": 0.2, "cutmix": 0.5}
    model = px.train("classify", few_digits, network="cnn", epochs=20, settings=settings, **FAST)
    assert model.evaluate(few_digits).metrics["accuracy"] > 0.7
    assert model.card.training["recipe"]["ema"] == 0.1


@pytest.mark.parametrize("budget", [{"epochs": 3}, {"steps": 7}, {"minutes": 0.02}])
def test_budgets_are_kept(few_digits: px.Dataset, budget: dict[str, Any], here: Path) -> None:
    start = time.perf_counter()
    model = px.train("classify", few_digits, network="logistic", out=here / "run", **budget, **FAST)
    steps = model.card.training["steps"]
    per_epoch = 180 // model.card.training["recipe"]["batch"] or 1
    if "epochs" in budget:
        assert steps == 3 * per_epoch
    if "steps" in budget:
        assert steps == 7
    if "minutes" in budget:
        assert 1.1 < model.card.training["seconds"] < 2.5
        assert time.perf_counter() - start < 20
    with (here / "run" / "metrics.csv").open() as file:
        assert float(list(csv.DictReader(file))[-1]["lr"]) == pytest.approx(0, abs=1e-6)


KILLED = """
import os, signal, sys
import pixelry as px
from pixelry.training.callbacks import Checkpoint
import test_runs

class Deadly(Checkpoint):
    def save(self, trainer):
        super().save(trainer)
        if trainer.lightning_module.step >= 7:
            os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "kill":
    import pixelry.training.fit as fit
    fit.Checkpoint = Deadly
test_runs.start(sys.argv[1], sys.argv[3])
"""

# Random augmentation, momentum, averages, blending; two phases; noise, and classes that are left out.
KINDS: dict[str, dict[str, Any]] = {
    "cnn": {"ema": 0.1, "mixup": 0.2, "batch": 256, "width": 4},
    "dcgan": {"batch": 256, "width": 8, "diff_augment": "shift"},
    "ddpm": {"batch": 256, "width": 8, "conditional": True},
}


def start(folder: str, network: str) -> px.Model:
    """The run of the kill test, of three epochs' orders."""
    task = "classify" if network == "cnn" else "generate"
    return px.train(
        task, "digits", network=network, steps=14, out=folder, checkpoint_seconds=0.0, settings=KINDS[network], seed=1,
        **FAST,
    )  # fmt: skip


@pytest.mark.parametrize("network", list(KINDS))
def test_killed_runs_continue_to_the_same_weights_bit_for_bit(network: str, here: Path) -> None:
    undisturbed = start(str(here / "whole"), network)
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(here / "cut"), "kill", network], env=path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (here / "cut" / "model.safetensors").exists()
    resumed = px.train(resume=here / "cut", progress=False)
    assert resumed.card.training["steps"] == 14
    assert same(weights(undisturbed), weights(resumed))
    assert dict(resumed.card.metrics) == dict(undisturbed.card.metrics)


def test_a_finished_run_resumes_to_itself(few_digits: px.Dataset, here: Path) -> None:
    model = px.train("classify", few_digits, network="logistic", steps=4, out=here / "run", **FAST)
    again = px.train("classify", few_digits, resume=here / "run", progress=False)
    assert same(weights(model), weights(again))


def test_resume_wants_the_same_data(few_digits: px.Dataset, squares: px.Dataset, here: Path) -> None:
    px.train("classify", few_digits, network="logistic", steps=2, out=here / "run", **FAST)
    with pytest.raises(UsageError, match=r"not what the run .* began with"):
        px.train("classify", squares, resume=here / "run", progress=False)
    with pytest.raises(UsageError, match="trained on data in memory: pass the same data again"):
        px.train(resume=here / "run", progress=False)
    with pytest.raises(UsageError, match="holds no run to resume"):
        px.train(resume=here / "elsewhere", progress=False)


def test_interrupt_leaves_a_usable_model(here: Path) -> None:
    code = (
        "import pixelry as px; px.train('classify', 'digits', network='cnn', minutes=5, out='run',"
        " precision='32-true', memory_format='contiguous')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=here)
    metrics = here / "run" / "metrics.csv"
    deadline = time.time() + 60
    while not metrics.exists() and time.time() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "interrupted after" in said
    model = px.load_model(here / "run")
    assert model.card.training["seconds"] < 60
    assert model.predict(np.zeros((8, 8), np.uint8)).label in "0123456789"  # type: ignore[union-attr]


def scores(folder: Path) -> list[float]:
    with (folder / "metrics.csv").open() as file:
        return [float(row["val_accuracy"]) for row in csv.DictReader(file) if row["val_accuracy"]]


def test_early_stopping_keeps_the_best(squares: px.Dataset, here: Path) -> None:
    model = px.train("classify", squares, network="logistic", epochs=200, early_stop=2, out=here / "run", **FAST)
    found = scores(here / "run")
    assert len(found) < 100
    assert model.card.metrics["accuracy"] == max(found)


@pytest.fixture(scope="module")
def contrary(few_digits: px.Dataset) -> px.Dataset:
    """Zeros and ones whose validation labels are the other way round: what learns gets worse there."""
    train, test = few_digits["train"], few_digits["test"]
    two = [train.subset([i for i in range(len(train)) if int(train.labels[i]) < 2])]
    two.append(test.subset([i for i in range(len(test)) if int(test.labels[i]) < 2]))
    other = Split(two[1].images, {"label": 1 - torch.as_tensor(two[1].labels)})
    return px.Dataset("contrary", {"train": two[0], "val": other}, few_digits.classes[:2])


@pytest.mark.parametrize(
    ("budget", "keep", "best"),
    [
        ({"epochs": 12}, "auto", False),
        ({"epochs": 12}, "best", True),
        ({"minutes": 0.05}, "auto", True),
        ({"minutes": 0.05}, "last", False),
    ],
)
def test_the_best_weights_or_the_last_are_kept(
    budget: dict[str, Any], keep: str, best: bool, contrary: px.Dataset, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, quiet = {"keep": keep, "batch": 8}, {**FAST, "progress": True}
    model = px.train("classify", contrary, network="cnn", settings=settings, out=here / "run", **budget, **quiet)
    found = scores(here / "run")
    assert max(found) > found[-1]  # which is the last one's, whatever was kept
    accuracy, training = model.card.metrics["accuracy"], model.card.training
    assert accuracy == (max(found) if best else found[-1])
    again = px.evaluate(here / "run", contrary, split="val").metrics
    assert again == pytest.approx(dict(model.card.metrics), rel=1e-6)
    assert (training["kept_step"] < training["steps"]) == best
    said = " ".join(capsys.readouterr().err.split())
    assert (f"(of step {training['kept_step']:,}; the last has {found[-1]:.4f})" in said) == best


def test_a_run_that_is_taken_up_again_keeps_what_the_undisturbed_one_keeps(contrary: px.Dataset, here: Path) -> None:
    options: dict[str, Any] = {"network": "cnn", "epochs": 6, "settings": {"keep": "best", "batch": 8}, **FAST}
    whole = px.train("classify", contrary, out=here / "whole", **options)
    px.train("classify", contrary, out=here / "cut", **options)
    # As a kill leaves it that comes after the last step and before the model is written.
    (here / "cut" / "model.safetensors").unlink()
    again = px.train(resume=here / "cut", data=contrary, progress=False)
    assert same(weights(whole), weights(again))
    assert whole.card.training["kept_step"] == again.card.training["kept_step"] < whole.card.training["steps"]


def test_weights_of_another_model_and_a_frozen_backbone(few_digits: px.Dataset, here: Path) -> None:
    first = px.train("classify", few_digits, network="cnn", epochs=2, out=here / "first", **FAST)
    keep = [i for i in range(200) if int(few_digits["train"].labels[i]) < 5]
    half = px.Dataset("half", {"train": few_digits["train"].subset(keep)}, few_digits.classes[:5])
    second = px.train(
        "classify",
        half,
        network="cnn",
        steps=3,
        weights=str(here / "first" / "model.safetensors"),
        freeze="backbone",
        **FAST,
    )
    old, new = weights(first), weights(second)
    assert all(torch.equal(old[name], new[name]) for name in old if not name.startswith("head."))
    assert new["head.weight"].shape[0] == 5
    third = px.train(
        "classify", half, network="cnn", steps=4, weights=str(here / "first" / "model.safetensors"), freeze=0.5, **FAST
    )
    changed = [name for name, value in weights(third).items() if name in old and not torch.equal(old[name], value)]
    assert any(name.startswith("stages.") for name in changed)


@pytest.mark.parametrize("several", [{"devices": 2}, {"nodes": 2}, {"strategy": "ddp"}])
def test_half_a_run_is_not_frozen_in_several_processes(
    several: dict[str, Any], few_digits: px.Dataset, here: Path
) -> None:
    with pytest.raises(UsageError, match=r"--freeze 0\.5, a part of the run, does not go with several processes"):
        px.train("classify", few_digits, network="cnn", steps=4, freeze=0.5, accelerator="cpu", **several, **FAST)


def test_weights_that_do_not_fit_are_named(few_digits: px.Dataset, here: Path) -> None:
    save_file({"stages.0.0.weight": torch.zeros(2, 2)}, here / "wrong.safetensors")
    with pytest.raises(ModelError, match=r"stages.0.0.weight .* is \(2, 2\) there"):
        px.train("classify", few_digits, network="cnn", steps=1, weights=str(here / "wrong.safetensors"), **FAST)
    torch.save({"a": torch.zeros(1)}, here / "pickle.pt")
    with pytest.raises(ModelError, match="it is a pickle, which is never read"):
        px.train("classify", few_digits, network="cnn", steps=1, weights=str(here / "pickle.pt"), **FAST)
    with pytest.raises(UsageError, match="neither a file nor known for this network"):
        px.train("classify", few_digits, network="cnn", steps=1, weights="imagnet", **FAST)


def test_imagenet_weights_download_and_transfer_to_grey(
    monkeypatch: pytest.MonkeyPatch, few_digits: px.Dataset
) -> None:
    from torchvision.models import resnet18
    from torchvision.models._api import WeightsEnum

    torch.manual_seed(7)
    body = resnet18().state_dict()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, **kwargs: dict(body))
    model = px.train(
        "classify", few_digits, network="resnet18", steps=1, size=(64, 64), weights="imagenet", freeze=1.0, **FAST
    )
    state = weights(model)
    torch.testing.assert_close(state["body.conv1.weight"], body["conv1.weight"].sum(1, keepdim=True))
    assert torch.equal(state["body.layer3.0.conv1.weight"], body["layer3.0.conv1.weight"])
    assert float(state["normalize.mean"]) == pytest.approx((0.485 + 0.456 + 0.406) / 3)


def test_offline_weights_say_what_to_do(monkeypatch: pytest.MonkeyPatch, few_digits: px.Dataset) -> None:
    from urllib.error import URLError

    from torchvision.models._api import WeightsEnum

    def refuse(self: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    with pytest.raises(ModelError, match=r"cannot be downloaded.*no network.*put resnet18-.*pth into"):
        px.train("classify", few_digits, network="resnet18", steps=1, size=(64, 64), weights="imagenet", **FAST)


def test_divergence_is_said_and_the_checkpoint_kept(few_digits: px.Dataset, here: Path) -> None:
    with pytest.raises(TrainingError, match=r"training has diverged; lower the learning rate \(--set lr="):
        px.train("classify", few_digits, network="cnn", epochs=50, settings={"lr": 1e30}, out=here / "run", **FAST)


@pytest.mark.parametrize("was_there", [False, True])
def test_a_run_that_never_began_leaves_no_folder(was_there: bool, few_digits: px.Dataset, here: Path) -> None:
    if was_there:
        (here / "run").mkdir()
    with pytest.raises(UsageError, match="label_smoothing"):
        px.train("classify", few_digits, network="cnn", settings={"label_smoothing": 2.0}, out=here / "run", **FAST)
    assert (here / "run").is_dir() == was_there


def test_settings_are_checked(few_digits: px.Dataset) -> None:
    with pytest.raises(UsageError, match="unknown setting 'lable_smoothing'; did you mean 'label_smoothing'"):
        px.train("classify", few_digits, network="cnn", settings={"lable_smoothing": 0.1}, **FAST)
    with pytest.raises(UsageError, match="lr is 'high'; expected float"):
        px.train("classify", few_digits, network="cnn", settings={"lr": "high"}, **FAST)
    with pytest.raises(UsageError, match="epochs and minutes are given"):
        px.train("classify", few_digits, network="cnn", epochs=1, minutes=1, **FAST)
    with pytest.raises(UsageError, match="steps is 0; it must be above 0"):
        px.train("classify", few_digits, network="cnn", steps=0, **FAST)
    with pytest.raises(UsageError, match="unknown network 'resnt18'; did you mean 'resnet18'"):
        px.train("classify", few_digits, network="resnt18", **FAST)
    with pytest.raises(UsageError, match="unknown task 'clasify'; did you mean 'classify'"):
        px.train("clasify", few_digits, network="cnn", **FAST)


def test_nothing_is_overwritten(few_digits: px.Dataset, here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ExistsError, match="mine exists and is not empty"):
        px.train("classify", few_digits, network="logistic", steps=1, out=here / "mine", **FAST)
    first = px.train("classify", few_digits, network="logistic", steps=1, **FAST)
    second = px.train("classify", few_digits, network="logistic", steps=1, **FAST)
    assert first.path is not None
    assert second.path is not None
    assert first.path != second.path


@pytest.mark.parametrize("what", ["classify --network cnn", "generate --network dcgan", "generate --network ddpm"])
def test_two_processes_train_one_model(what: str, here: Path) -> None:
    words = (
        f"train {what} --data digits --set width=8 --epochs 2 --devices 2 --strategy ddp "
        "--accelerator cpu --precision 32-true --memory-format contiguous --out run --json"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pixelry", *words.split()], cwd=here, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["training"]["epochs"] == 2
    if what.startswith("classify"):  # what a discriminator says depends on the batch
        alone = px.evaluate(here / "run", "digits", split="val").metrics
        assert answer["metrics"] == pytest.approx(dict(alone), rel=1e-6)
    assert len(load_file(here / "run" / "model.safetensors")) > 10


def test_compiled_networks_train(few_digits: px.Dataset) -> None:
    model = px.train("classify", few_digits, network="logistic", steps=2, compile=True, **FAST)
    assert set(weights(model)) == {"head.weight", "head.bias", "normalize.mean", "normalize.std"}


def test_the_fast_path_is_measured_once_and_said(few_digits: px.Dataset, cache: Path, here: Path) -> None:
    px.train("classify", few_digits, network="cnn", steps=2, out=here / "a", progress=False)
    files = {path: path.stat().st_mtime_ns for path in (cache / "fast_path").iterdir()}
    assert files
    px.train("classify", few_digits, network="cnn", steps=2, out=here / "b", progress=False)
    assert {path: path.stat().st_mtime_ns for path in (cache / "fast_path").iterdir()} == files
    choice = json.loads(next(iter(files)).read_text())
    assert "measured" in choice["reason"]
    assert choice["precision"] in ("32-true", "bf16-mixed")
