"""What a classifier's evaluation measures beyond accuracy, against scikit-learn and statistics in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight

import pixelry as px
from pixelry.data.dataset import Split
from pixelry.errors import UsageError
from pixelry.tasks._classify_figures import confidence_figure, reliability_points
from pixelry.tasks._two_classes import Thresholds, one_vs_rest_auroc, operating_points
from pixelry.tasks.classify import Classify

TWO = ("fine", "defect")


def made(count: int, classes: int, *, seed: int = 0, scale: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, K) that are often right, and labels, of classes that get rarer."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.arange(classes, 0, -1).float() ** 2
    labels = torch.multinomial(shares, count, replacement=True, generator=generator)
    logits = torch.randn(count, classes, generator=generator)
    logits[torch.arange(count), labels] += scale
    return logits, labels


def filled(task: Classify, logits: torch.Tensor, labels: torch.Tensor) -> Any:
    evaluator = task.evaluator()
    evaluator.update(logits, {"label": labels, "index": torch.arange(len(labels))})
    return evaluator


def plain_split(labels: torch.Tensor) -> Split:
    return Split(torch.zeros(len(labels), 1, 4, 4, dtype=torch.uint8), {"label": labels})


def test_macro_figures_leave_out_classes_without_images() -> None:
    logits, labels = made(200, 5)
    labels[labels == 4] = 0  # no image of class 4 is left,
    logits[:, 4] = -100.0  # and none is taken for it
    figures = filled(Classify(tuple("abcde")), logits, labels).compute()
    predicted = logits.argmax(1)
    assert figures["f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert figures["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    logits[:3, 4] = 100.0  # now three are, which macro F1 counts as a class that is never right
    figures = filled(Classify(tuple("abcde")), logits, labels).compute()
    expected = metrics.f1_score(labels, logits.argmax(1), average="macro", zero_division=0)
    assert figures["f1"] == pytest.approx(expected)


def test_two_classes_have_auroc_and_average_precision_of_the_positive_one() -> None:
    logits, labels = made(300, 2)
    # Probabilities that are 1.0 in single precision still have an order.
    scores = 30 * (logits[:, 0] - logits[:, 1]).double()
    figures = filled(Classify(TWO, positive="fine"), 30 * logits, labels).compute()
    assert figures["auroc"] == pytest.approx(metrics.roc_auc_score(labels == 0, scores))
    assert figures["average_precision"] == pytest.approx(metrics.average_precision_score(labels == 0, scores))
    one = filled(Classify(TWO, positive="fine"), logits[:5], torch.zeros(5, dtype=torch.int64)).compute()
    assert not {"auroc", "average_precision"} & set(one)


def test_more_classes_have_the_mean_auroc_of_each_against_the_rest() -> None:
    logits, labels = made(400, 4)
    logits = logits.round(decimals=1)  # ties
    probabilities = logits.double().softmax(1)
    evaluator = filled(Classify(tuple("abcd")), logits, labels)
    expected = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average=None)
    assert evaluator.compute()["auroc"] == pytest.approx(expected.mean())
    (table,) = (t for t in evaluator.findings(plain_split(labels)).tables if t.title == "Per class")
    column = table.columns.index("auroc")
    assert [row[column] for row in table.rows] == pytest.approx(expected.round(4).tolist())
    assert np.isnan(one_vs_rest_auroc(np.eye(3), np.array([0, 1, 1]))[2])


def test_every_threshold_counts_as_scikit_learn_does() -> None:
    logits, labels = made(250, 2)
    scores, positive = logits.softmax(1)[:, 1].double().numpy().round(2), (labels == 1).numpy()
    at = Thresholds.of(scores, positive)
    false, true, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(at.false_positive_rate, false[1:])
    np.testing.assert_allclose(at.recall, true[1:])
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    np.testing.assert_allclose(at.precision, precision[:-1][::-1])
    np.testing.assert_allclose(at.recall, recall[:-1][::-1])


def test_operating_points_do_what_they_promise() -> None:
    logits, labels = made(500, 2)
    scores, positive = logits.double().softmax(1)[:, 1].numpy(), (labels == 1).numpy()
    table = operating_points(scores, positive, name="defect", threshold=0.5)
    rows = {row[0]: dict(zip(table.columns[1:], row[1:], strict=True)) for row in table.rows}
    assert list(rows) == [
        "in use: 0.5", "recall at least 95%", "precision at least 95%", "best F1", "best Youden index",
    ]  # fmt: skip
    for row in rows.values():
        called = scores >= float(row["threshold"])
        assert row["recall"] == pytest.approx(metrics.recall_score(positive, called), abs=1e-4)
        assert row["precision"] == pytest.approx(metrics.precision_score(positive, called), abs=1e-4)
        assert row["F1"] == pytest.approx(metrics.f1_score(positive, called), abs=1e-4)
    assert rows["recall at least 95%"]["recall"] >= 0.95
    assert rows["precision at least 95%"]["precision"] >= 0.95
    every = [metrics.f1_score(positive, scores >= value) for value in scores]
    assert rows["best F1"]["F1"] == pytest.approx(max(every), abs=1e-4)
    hopeless = operating_points(np.full(10, 0.5), np.arange(10) < 5, name="defect", threshold=0.6)
    assert hopeless.rows[0][1:] == ("0.6", "", 0.0, 0.0, 0.0)
    assert hopeless.rows[2][1] == "not reached"


def test_a_threshold_decides_in_evaluation_and_prediction() -> None:
    logits = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    labels = torch.tensor([1, 0, 1, 0])
    task = Classify(TWO, positive="defect").with_settings({"threshold": 0.2})
    assert filled(Classify(TWO), logits, labels).compute()["accuracy"] == 0.75
    evaluator = filled(task, logits, labels)  # type: ignore[arg-type]
    assert evaluator.compute()["accuracy"] == 1
    assert "from a probability of 0.2 on it is 'defect'" in evaluator.findings(plain_split(labels)).protocol
    found = task.decode(logits, [np.zeros((2, 2))] * 4, list("abcd"), size=(2, 2))
    assert [result.label for result in found] == ["defect", "fine", "defect", "fine"]  # type: ignore[union-attr]
    assert found[0].score == pytest.approx(float(logits[0].softmax(0)[1]))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": TWO, "positive": "defekt"}, "unknown class in positive 'defekt'; did you mean 'defect'"),
        ({"classes": tuple("abc"), "positive": "a"}, "are for two classes; there are 3"),
        ({"classes": tuple("abc"), "threshold": 0.5}, "are for two classes; there are 3"),
        ({"classes": TWO, "threshold": 1.5}, "threshold is 1.5; it is a probability"),
        ({"classes": TWO, "class_weights": "balance"}, "class_weights is 'balance'; expected balanced"),
        ({"classes": TWO, "class_weights": {"fine": 0}}, "class_weights has 0 for 'fine'; expected a number above 0"),
        ({"classes": TWO, "class_weights": {"good": 2}}, "unknown class in class_weights 'good'"),
    ],
)
def test_options_of_classes_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Classify(**options)


def test_names_that_yaml_reads_as_something_else_are_found() -> None:
    assert Classify(("yes", "no"), positive=True).positive == "yes"
    assert Classify(("0", "1"), positive=1).positive == "1"
    assert Classify(("007", "8"), class_weights={7: 3}).weights == (3.0, 1.0)


def test_class_weights_are_those_of_scikit_learn_and_weigh_the_loss() -> None:
    labels = torch.tensor([0] * 12 + [1] * 6 + [2] * 2)
    dataset = px.Dataset("d", {"train": plain_split(labels)}, ("a", "b", "c", "never"))
    task = Classify.from_dataset(dataset, class_weights="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    assert task.weights == pytest.approx((*expected, 0.0))
    assert (task.monitor, Classify.from_dataset(dataset).monitor) == ("balanced_accuracy", "accuracy")
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    loss = task.losses(lambda x: logits, {"image": torch.zeros(20, 1, 4, 4), "label": labels})["loss"]  # type: ignore[arg-type]
    weights = torch.tensor(expected)[labels]
    by_hand = -(weights * logits.log_softmax(1)[torch.arange(20), labels]).sum() / weights.sum()
    assert float(loss) == pytest.approx(float(by_hand), rel=1e-5)
    with pytest.raises(UsageError, match="the model was trained with balanced"):
        task.with_settings({"class_weights": None})
    named = Classify(("a", "b"), class_weights={"b": 5})
    assert named.weights == (1.0, 5.0)
    assert Classify(named.classes, **named.options()) == named


def test_the_rarer_class_is_the_positive_one_and_imbalance_is_noted() -> None:
    few = px.Dataset("d", {"train": plain_split(torch.tensor([0] * 2 + [1] * 40))}, TWO)
    even = px.Dataset("d", {"train": plain_split(torch.tensor([0, 1] * 5))}, TWO)
    assert Classify.from_dataset(few).positive == "fine"
    assert Classify.from_dataset(even).positive == "defect"
    assert Classify.from_dataset(few, positive="defect").positive == "defect"
    (note,) = Classify.notes(few)
    assert "40 training images of 'defect', 2 of 'fine'" in note
    assert Classify.notes(even) == ()


def right(confidence: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.random.default_rng(1).random(len(confidence)) < confidence


def test_reliability_has_no_points_of_a_handful_of_images() -> None:
    random = np.random.default_rng(0)
    confidence = np.concatenate([random.uniform(0.9, 1, 900), random.uniform(0.3, 0.9, 50), [0.05, 0.1, 0.12]])
    correct = right(confidence)
    points = reliability_points(confidence, correct, 15)
    assert sum(point.images for point in points) == len(confidence)
    assert min(point.images for point in points) >= 20
    assert len(points) >= 3
    for point in points:
        interval = binomtest(round(point.correct * point.images), point.images).proportion_ci(method="wilson")
        assert (point.low, point.high) == pytest.approx((interval.low, interval.high))
    assert [point.images for point in reliability_points(confidence[:7], correct[:7], 15)] == [7]
    # 2 % of 5,000 images are 100.
    many = random.uniform(0, 1, 5000) ** 0.05
    assert min(point.images for point in reliability_points(many, right(many), 15)) >= 100


def test_intervals_hold_the_truth_of_a_calibrated_model() -> None:
    confidence = np.random.default_rng(3).uniform(0.2, 1, 20_000)
    points = reliability_points(confidence, right(confidence), 15)
    assert sum(point.low <= point.confidence <= point.high for point in points) >= len(points) - 2


def test_confidence_of_right_and_wrong_answers_are_shares_of_their_own() -> None:
    figure = confidence_figure(np.array([0.92, 0.97, 0.56, 0.52, 0.97]), np.array([1, 1, 1, 0, 0], bool), bins=10)
    heights = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    assert np.allclose(np.sum(heights, 1), [1, -1])
    assert [texts.get_text() for texts in figure.axes[0].get_legend().get_texts()] == ["3 right", "2 wrong"]


def test_views_of_test_time_augmentation() -> None:
    images = torch.arange(2 * 32 * 32).float().view(1, 2, 32, 32) / 2048
    shown: list[torch.Tensor] = []

    def network(view: torch.Tensor) -> torch.Tensor:
        shown.append(view)
        return torch.stack([view[:, 0, 0, 0] * 3, view[:, 1, 5, 3]], 1)

    plain = Classify(TWO)
    outputs = {kind: plain.with_settings({"tta": kind}) for kind in ("none", "flip", "shift", "flip_shift")}
    for kind, count in (("none", 1), ("flip", 2), ("shift", 5), ("flip_shift", 10)):
        shown.clear()
        logits = outputs[kind].forward(network, {"image": images})  # type: ignore[arg-type]
        assert len(shown) == count
        assert all(view.shape == images.shape for view in shown)
        assert torch.equal(shown[0], images)
        mean = torch.stack([network(view).softmax(1) for view in list(shown)]).mean(0)
        torch.testing.assert_close(logits.softmax(1), mean)
    assert torch.equal(shown[5], images.flip(-1))
    shown.clear()
    outputs["shift"].forward(network, {"image": images})  # type: ignore[arg-type]
    assert torch.equal(shown[1][..., 1:, :], images[..., :-1, :])
    assert torch.equal(shown[4][..., :-1], images[..., 1:])


def test_a_training_with_balanced_weights_finds_more_of_the_rare_class(here: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 270 + [1] * 30)
    images = (torch.randn(300, 1, 4, 4, generator=generator) * 50 + 110 + 14 * labels.view(-1, 1, 1, 1)).clamp(0, 255)
    split = Split(images.byte(), {"label": labels})
    dataset = px.Dataset("rare", {"train": split, "val": split}, TWO)
    recalls = []
    for settings in ({}, {"class_weights": "balanced"}):
        model = px.train(
            "classify", dataset, network="logistic", steps=60, settings=settings, precision="32-true",
            memory_format="contiguous", progress=False,
        )  # fmt: skip
        again = px.load_model(model.path)
        assert again.task == model.task
        report = again.evaluate(dataset, split="val", settings={"tta": "flip"})
        recalls.append({row[0]: row[2] for row in report.findings.tables[1].rows}["defect"])
        assert report.metrics["auroc"] > 0.6
    assert recalls[1] > recalls[0] + 0.2
