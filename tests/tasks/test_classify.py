"""Classification: losses against torch and by hand, figures against scikit-learn and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import nn

from pixelry import Dataset
from pixelry.data.dataset import Split
from pixelry.errors import DataError, UsageError
from pixelry.logistic.calibration import fit_temperature
from pixelry.tasks.classify import Classify

CLASSES = tuple("abcdefg")


@pytest.fixture
def outputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (300, 7) that are often right, and labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 7, (300,), generator=generator)
    logits = torch.randn(300, 7, generator=generator)
    logits[torch.arange(300), labels] += 1.5
    return logits, labels


def filled(task: Classify, logits: torch.Tensor, labels: torch.Tensor) -> object:
    evaluator = task.evaluator()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    for index in order.split(64):
        evaluator.update(logits[index], {"label": labels[index], "index": index})
    return evaluator


def test_figures_equal_scikit_learns(outputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = outputs
    figures = filled(Classify(CLASSES), logits, labels).compute()  # type: ignore[attr-defined]
    predicted = logits.argmax(1)
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert figures["f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    top5 = metrics.top_k_accuracy_score(labels.numpy(), logits.numpy(), k=5, labels=range(7))
    assert figures["top5"] == pytest.approx(top5)
    assert figures["nll_nats"] == pytest.approx(metrics.log_loss(labels, logits.double().softmax(1)), rel=1e-5)
    assert figures["images"] == 300


def test_ece_equals_its_definition(outputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = outputs
    figures = filled(Classify(CLASSES), logits, labels).compute()  # type: ignore[attr-defined]
    confidence, predicted = logits.softmax(1).max(1)
    place = np.ceil(confidence.numpy() * 15).astype(int)
    gaps = [
        (place == b).mean()
        * abs((predicted == labels).numpy()[place == b].mean() - confidence.numpy()[place == b].mean())
        for b in np.unique(place)
    ]
    assert figures["ece"] == pytest.approx(sum(gaps), abs=1e-5)


def test_interval_is_wilsons() -> None:
    logits = torch.eye(2).repeat(50, 1)
    labels = torch.tensor([0, 1] * 45 + [1, 0] * 5)
    figures = filled(Classify(("a", "b")), logits, labels).compute()  # type: ignore[attr-defined]
    # Wilson 1927 for 90 of 100.
    assert figures["accuracy_low"] == pytest.approx(0.8256343, abs=1e-6)
    assert figures["accuracy_high"] == pytest.approx(0.9447712, abs=1e-6)


def test_temperature_makes_probabilities_honest(outputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = outputs
    task = Classify(CLASSES)
    evaluator = filled(task, 5 * logits, labels)
    before = evaluator.compute()  # type: ignore[attr-defined]
    calibrated = task.calibrated(evaluator)  # type: ignore[arg-type]
    evaluator.reset()  # type: ignore[attr-defined]
    after = filled(calibrated, 5 * logits, labels).compute()  # type: ignore[attr-defined]
    # Scores that are N(0, 1) but for 1.5 more at the truth give exactly the probabilities softmax(1.5 x).
    assert calibrated.temperature == pytest.approx(5 / 1.5, rel=0.1)
    assert after["accuracy"] == before["accuracy"]
    assert after["ece"] < before["ece"] / 2
    assert after["nll_nats"] < before["nll_nats"]


def test_temperature_stays_finite_where_every_answer_is_right() -> None:
    task = Classify(("a", "b"))
    evaluator = filled(task, 4 * torch.eye(2).repeat(20, 1), torch.tensor([0, 1] * 20))
    calibrated = task.calibrated(evaluator)  # type: ignore[arg-type]
    scores = calibrated.decode(torch.tensor([[4.0, 0.0]]), [np.zeros((2, 2))], ["x"], size=(2, 2))[0].scores
    assert 0.95 < scores.max() < 0.999


class Fixed(nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits
        self.seen: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        return self.logits


def test_loss_equals_cross_entropy_with_smoothing(outputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = outputs
    batch = {"image": torch.zeros(300, 1, 2, 2), "label": labels}
    loss = Classify(CLASSES, label_smoothing=0.2).losses(Fixed(logits), batch)["loss"]
    target = 0.8 * nn.functional.one_hot(labels, 7) + 0.2 / 7
    assert float(loss) == pytest.approx(float(-(target * logits.log_softmax(1)).sum(1).mean()), rel=1e-5)


@pytest.mark.parametrize("option", ["mixup", "cutmix"])
def test_blending_changes_images_and_targets_together(option: str) -> None:
    torch.manual_seed(0)
    images = torch.cat([torch.zeros(4, 1, 8, 8), torch.ones(4, 1, 8, 8)])
    labels = torch.tensor([0] * 4 + [1] * 4)
    network = Fixed(torch.randn(8, 2))
    loss = Classify(("a", "b"), **{option: 1.0}).losses(network, {"image": images, "label": labels})["loss"]  # type: ignore[arg-type]
    assert network.seen is not None
    share = network.seen.mean((1, 2, 3))
    target = torch.stack([1 - share, share], 1)
    assert float(loss) == pytest.approx(float(-(target * network.logits.log_softmax(1)).sum(1).mean()), rel=1e-4)
    assert ((share > 0) & (share < 1)).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1"),
        ({"mixup": -1.0}, "mixup is -1"),
        ({"temperature": 0.0}, "above 0"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Classify(("a", "b"), **options)


def test_one_class_is_no_classification() -> None:
    split = Split(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), {"label": torch.zeros(3, dtype=torch.int64)})
    with pytest.raises(DataError, match="one class, 'only'; a classifier needs at least two"):
        Classify.from_dataset(Dataset("d", {"train": split}, ("only",)))


def test_tiny_logits_are_calibrated_too() -> None:
    # As those of a network that has just begun to learn: right in nine of ten cases, and hardly apart.
    labels = torch.arange(200) % 4
    answers = torch.where(torch.arange(200) % 10 == 0, (labels + 1) % 4, labels)
    logits = 1e-2 * torch.nn.functional.one_hot(answers, 4)
    temperature = fit_temperature(logits, labels)
    confidence = float((logits.double() / temperature).softmax(1).amax(1).mean())
    assert confidence == pytest.approx(0.9, abs=0.01)
