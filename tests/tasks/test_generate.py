"""Generation: a likelihood that sums to one, drawing that follows it, completion, and the edges."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from sklearn.linear_model import LogisticRegression

import pixelry as px
from pixelry.data.dataset import Split
from pixelry.errors import DataError, ImageError, UsageError
from pixelry.networks.generate import logistic
from pixelry.pixels import write_image
from pixelry.tasks.generate import Autoregressive
from pixelry.types import Generated

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "contiguous"}


def random_network(
    size: tuple[int, int], *, channels: int = 1, levels: int = 2, classes: int = 0, pairs: int = 0, seed: int = 0
) -> logistic.Logistic:
    """A network whose probabilities are neither 0 nor 1 nor alike."""
    torch.manual_seed(seed)
    network = logistic.build(channels=channels, size=size, levels=levels, classes=classes, pairs=pairs)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.8)
    torch.nn.init.uniform_(network.mean)
    return network


def every_picture(size: tuple[int, int], channels: int, levels: int) -> torch.Tensor:
    """All pictures of a size, (levels ** values, C, H, W) in [0, 1]."""
    values = channels * size[0] * size[1]
    grid = torch.tensor(list(itertools.product(range(levels), repeat=values)), dtype=torch.float32)
    return grid.view(-1, channels, *size) / (levels - 1)


def task_for(levels: int, classes: int) -> Autoregressive:
    names = tuple("abcdef"[:classes])
    prior = tuple((torch.arange(1.0, classes + 1) / sum(range(1, classes + 1))).tolist())
    return Autoregressive(classes=names, levels=levels, conditional=bool(names), prior=prior)


CASES = [
    ((2, 3), 1, 2, 0, 0),
    ((2, 3), 1, 2, 0, 2),
    ((2, 2), 1, 3, 0, 0),
    ((2, 2), 1, 3, 0, 1),
    ((1, 2), 3, 2, 0, 1),
    ((2, 3), 1, 2, 3, 0),
    ((2, 2), 1, 4, 2, 1),
]


@pytest.mark.parametrize(("size", "channels", "levels", "classes", "pairs"), CASES)
def test_probabilities_of_all_pictures_sum_to_one(
    size: tuple[int, int], channels: int, levels: int, classes: int, pairs: int
) -> None:
    network = random_network(size, channels=channels, levels=levels, classes=classes, pairs=pairs)
    images = every_picture(size, channels, levels)
    with torch.no_grad():
        nats = task_for(levels, classes).forward(network, {"image": images})
    assert nats.shape == (len(images), max(1, classes))
    torch.testing.assert_close((-nats).exp().sum(0), torch.ones(max(1, classes)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size", "channels", "levels", "classes", "pairs"), CASES)
def test_pictures_are_drawn_as_often_as_they_are_likely(
    size: tuple[int, int], channels: int, levels: int, classes: int, pairs: int
) -> None:
    network = random_network(size, channels=channels, levels=levels, classes=classes, pairs=pairs)
    task, images = task_for(levels, classes), every_picture(size, channels, levels)
    with torch.no_grad():
        expected = (-task.forward(network, {"image": images})).exp()[:, -1].double()
    count = 20_000
    coins = torch.rand(count, network.bits, generator=torch.Generator().manual_seed(0))
    label = torch.full((count,), classes - 1) if classes else None
    drawn = network.draw(coins, label)
    places = {tuple(image.flatten().tolist()): k for k, image in enumerate(images)}
    found = torch.bincount(
        torch.tensor([places[tuple(image.flatten().tolist())] for image in drawn]), minlength=len(images)
    )
    # Pictures that are hardly expected are counted together, as the test wants.
    common = expected * count >= 5
    observed = [*found[common].tolist(), int(found[~common].sum())]
    wanted = np.array([*(expected[common] * count).tolist(), float(expected[~common].sum() * count)])
    keep = wanted > 0
    observed_array = np.array(observed, dtype=float)[keep]
    assert chisquare(observed_array, wanted[keep] * observed_array.sum() / wanted[keep].sum()).pvalue > 1e-3


def test_the_likelihood_is_a_product_of_logistic_regressions() -> None:
    network = random_network((2, 3), pairs=1)
    bits = np.array([1, 0, 1, 1, 0, 1.0])
    mean, weight, bias = (t.detach().double().numpy() for t in (network.mean, network.weight, network.bias))
    assert network.quadratic is not None
    # In a window of one pixel to each side: left, above, above left, above right, as far as they are in the picture.
    before = {0: [], 1: [0], 2: [1], 3: [0, 1], 4: [3, 1, 0, 2], 5: [4, 2, 1]}
    nats = 0.0
    for t in range(6):
        score = bias[t] + sum(weight[t, s] * (bits[s] - mean[s]) for s in range(t))
        quadratic = network.quadratic[t].detach().double().numpy()
        places = network.window[t].tolist()
        assert {place for place in places if place < 6} == set(before[t])
        for i, j in itertools.combinations(range(len(places)), 2):
            if places[i] < 6 and places[j] < 6:
                score += quadratic[i, j] * bits[places[i]] * bits[places[j]]
        nats += math.log1p(math.exp(-score if bits[t] else score))
    image = torch.tensor(bits, dtype=torch.float32).view(1, 1, 2, 3)
    with torch.no_grad():
        assert float(Autoregressive().forward(network, {"image": image})[0, 0]) == pytest.approx(nats, rel=1e-5)


def test_rank_1_updates_draw_what_the_whole_product_would() -> None:
    network = random_network((4, 4), levels=3, pairs=2)
    network.weight.data *= 0.3
    coins = torch.rand(50, network.bits, generator=torch.Generator().manual_seed(1))
    bits = torch.zeros(50, network.bits)
    with torch.no_grad():
        for t in range(network.bits):
            bits[:, t] = (coins[:, t] < network.scores(bits)[:, t].sigmoid()).float()
            if t % 2:
                bits[:, t] *= bits[:, t - 1]
    assert torch.equal(network.draw(coins), network.decode(bits))


def test_levels_are_coded_without_loss() -> None:
    network = random_network((3, 5), channels=3, levels=5)
    images = torch.randint(0, 5, (4, 3, 3, 5), generator=torch.Generator().manual_seed(0)) / 4
    torch.testing.assert_close(network.decode(network.encode(images)), images)


def test_fitting_starts_from_independent_pixels() -> None:
    images = (torch.rand(500, 1, 3, 3, generator=torch.Generator().manual_seed(0)) * 3).floor() / 2
    network = logistic.build(channels=1, size=(3, 3), levels=3)
    network.fit(images)
    task = Autoregressive(levels=3)
    counts = torch.stack([(images * 2 == level).double().mean(0) for level in range(3)])
    entropy = float(-(counts * counts.log()).sum())
    with torch.no_grad():
        assert float(task.forward(network, {"image": images}).mean()) == pytest.approx(entropy, rel=1e-4)


# Rounding to levels


def test_dynamic_rounding_keeps_the_expectation() -> None:
    torch.manual_seed(0)
    images = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0]).view(1, 1, 1, 5).repeat(20_000, 1, 1, 1)
    for levels in (2, 4):
        seen = Autoregressive(levels=levels).observe({"image": images}, training=True)["image"]
        assert set((seen * (levels - 1)).flatten().tolist()) <= set(map(float, range(levels)))
        torch.testing.assert_close(seen.mean(0).flatten(), images[0].flatten(), atol=0.02, rtol=0)


def test_what_is_judged_is_rounded_once_and_for_all() -> None:
    images, index = torch.rand(6, 1, 4, 4), torch.arange(6)
    for how in ("dynamic", "static"):
        task = Autoregressive(binarise=how)
        whole = task.observe({"image": images, "index": index}, training=False)["image"]
        part = task.observe({"image": images[3:], "index": index[3:]}, training=False)["image"]
        assert torch.equal(whole[3:], part)
        again = task.observe({"image": images, "index": index}, training=True)["image"]
        assert torch.equal(again, whole) == (how == "static")
    nearest = Autoregressive(binarise="threshold").observe({"image": images}, training=True)["image"]
    assert torch.equal(nearest, (images >= 0.5).float())


class Says(torch.nn.Module):
    """A network that always gives the same answer."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.answer


def test_the_loss_of_a_grey_is_the_expectation_over_its_levels() -> None:
    task = Autoregressive(levels=4)
    network = random_network((1, 2), levels=4)
    grey = torch.tensor([0.4, 0.9]).view(1, 1, 1, 2)
    torch.manual_seed(0)
    seen = task.observe({"image": grey}, training=True)
    with torch.no_grad():
        soft = float(task.losses(network, seen)["loss"])
        expected = 0.0
        says = Says(network(seen["image"]))
        for first, second in itertools.product(range(4), repeat=2):
            levels = torch.tensor([first, second]).view(1, 1, 1, 2) / 3
            p = math.prod(max(0.0, 1 - abs(value * 3 - level)) for value, level in ((0.4, first), (0.9, second)))
            expected += p * float(task.forward(says, {"image": levels}))
    assert soft == pytest.approx(expected, rel=1e-5)


# Training


def test_training_finds_the_optimum_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    first = random.random((400, 3)) < 0.5
    bits = np.concatenate([first, first ^ (random.random((400, 3)) < 0.2)], 1)
    images = torch.from_numpy((bits * 255).astype(np.uint8)).view(-1, 1, 2, 3)
    data = px.Dataset("bits", {"train": Split(images), "val": Split(images)})
    settings = {"lr": 0.05, "batch": 400, "schedule": "cosine"}
    model = px.train("generate", data, network="logistic", steps=800, settings=settings, **FAST)
    best = 0.0
    for t in range(6):
        x, y = bits[:, :t].astype(float), bits[:, t]
        if t == 0:
            rate = y.mean()
            p = np.full(len(y), rate)
        else:
            p = LogisticRegression(C=1e8, tol=1e-8, max_iter=1000).fit(x, y).predict_proba(x)[:, 1]
        best += -np.mean(np.where(y, np.log(p), np.log1p(-p)))
    assert model.evaluate(data, split="train").metrics["nll_nats"] == pytest.approx(best, abs=2e-3)


@pytest.fixture(scope="module")
def model(digits: px.Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    out = tmp_path_factory.mktemp("generate") / "run"
    settings = {"conditional": True, "pairs": 2, "levels": 3}
    return px.train("generate", digits, network="logistic", epochs=20, settings=settings, out=out, **FAST)


def test_it_learns_digits(model: px.Model, digits: px.Dataset) -> None:
    figures = model.evaluate(digits).metrics
    start = logistic.build(channels=1, size=(8, 8), levels=3)
    images = Autoregressive(levels=3).observe({"image": digits["train"].images / 255}, training=True)["image"]
    start.fit(images)
    with torch.no_grad():
        independent = float(Autoregressive(levels=3).forward(start, {"image": images}).mean())
    assert figures["nll_nats"] < independent - 8
    assert figures["accuracy"] > 0.7
    assert figures["nll_nats_low"] < figures["nll_nats"] < figures["nll_nats_high"]
    assert figures["bits_per_pixel"] == pytest.approx(figures["nll_nats"] / math.log(2) / 64)


def test_the_marginal_is_the_mixture_of_the_classes() -> None:
    task = task_for(2, 3)
    nats = torch.tensor([[1.0, 2.0, 3.0], [0.5, 5.0, 2.0]])
    evaluator = task.evaluator()
    batch = {"image": torch.zeros(2, 1, 2, 2), "index": torch.arange(2), "label": torch.tensor([2, 0])}
    evaluator.update(nats, batch)
    figures = evaluator.compute()
    p = np.exp(-nats.double().numpy()) @ np.array(task.prior)
    assert figures["nll_nats"] == pytest.approx(-np.log(p).mean())
    assert figures["nll_nats_given_class"] == pytest.approx((3.0 + 0.5) / 2)
    assert figures["accuracy"] == 0.5  # joint: 1/6 e^-1, 2/6 e^-2, 3/6 e^-3 is class 0, not 2; the other is right


# Drawing


def test_a_picture_follows_from_seed_and_number(model: px.Model) -> None:
    many = model.generate(10, seed=3)
    assert all(isinstance(image, Generated) for image in many)
    (one,) = model.generate(1, seed=3, start=7)
    assert np.array_equal(many[7].image, one.image)
    assert many[7].label == one.label  # type: ignore[union-attr]
    assert not np.array_equal(many[7].image, model.generate(8, seed=4)[7].image)
    assert {label.label for label in model.generate(5, label="4")} == {"4"}  # type: ignore[union-attr]


def test_completions_keep_what_is_known(model: px.Model, digits: px.Dataset) -> None:
    image = digits["test"].images[3, 0].numpy()
    mask = np.zeros((8, 8), dtype=bool)
    mask[3, 5:], mask[4:] = True, True
    completed = model.inpaint(image, mask, count=6, seed=1)
    for result in completed:
        assert np.array_equal(result.image[~mask], image[~mask])
    assert len({result.image.tobytes() for result in completed}) > 1
    assert completed[0].draw().shape[0] == 8
    for kind in (np.uint8, np.float64, np.int64):
        assert np.array_equal(model.inpaint(image, mask.astype(kind), seed=1)[0].image, completed[0].image)
    with pytest.raises(UsageError, match="nothing in the mask is white"):
        model.inpaint(image, np.zeros((8, 8)))


def test_completions_follow_the_conditional_probabilities() -> None:
    network = random_network((2, 2))
    images = every_picture((2, 2), 1, 2)
    with torch.no_grad():
        joint = (-Autoregressive().forward(network, {"image": images})[:, 0]).exp().double()
    given = torch.tensor([1.0, 0.0])
    match = (images.flatten(1)[:, :2] == given).all(1)
    expected = joint[match] / joint[match].sum()
    count = 8000
    coins = torch.rand(count, 4, generator=torch.Generator().manual_seed(0))
    drawn = network.draw(coins, given=images[match][:1].expand(count, -1, -1, -1), known=2)
    found = [(drawn == image).flatten(1).all(1).sum().item() for image in images[match]]
    assert sum(found) == count
    assert chisquare(found, expected.numpy() * count).pvalue > 1e-3


def test_the_class_of_a_completion_is_drawn_by_what_is_known() -> None:
    network, task = random_network((2, 2), classes=2, seed=3), task_for(2, 2)
    images = every_picture((2, 2), 1, 2)
    with torch.no_grad():
        joint = (-task.forward(network, {"image": images})).exp().double() * torch.tensor(task.prior)
    match = (images.flatten(1)[:, :2] == 1).all(1)
    expected = joint[match].sum(1) / joint[match].sum()
    known = np.array([[True, True], [False, False]])
    drawn = task.complete(network, np.full((2, 2), 255, dtype=np.uint8), known, 4000, size=(2, 2), channels=1)
    lower = [tuple((result.image[1] // 255).tolist()) for result in drawn]
    found = [lower.count(tuple(image[0, 1].int().tolist())) for image in images[match]]
    assert chisquare(found, expected.numpy() / expected.sum().item() * 4000).pvalue > 1e-3


@pytest.mark.parametrize("how", ["dynamic", "static", "threshold"])
def test_every_rounding_trains_and_resumes_its_figures(how: str, few_digits: px.Dataset) -> None:
    model = px.train("generate", few_digits, network="logistic", steps=3, settings={"binarise": how}, **FAST)
    figures = [model.evaluate(few_digits).metrics["nll_nats"] for _ in range(2)]
    assert figures[0] == figures[1]
    with pytest.raises(UsageError, match="levels: the network was built for"):
        model.evaluate(few_digits, settings={"levels": 4})


@pytest.mark.parametrize(
    ("shape", "mask", "message"),
    [
        ((9, 8), np.ones((9, 8)), "9x8 pixels, the model's have 8x8"),
        ((8, 8), np.ones((4, 8)), r"the mask has shape \(4, 8\)"),
        ((8, 8), np.eye(8), "the pixel at row 0, column 1 is known, but that at row 0, column 0 before it is not"),
    ],
)
def test_masks_that_do_not_suit_are_named(
    model: px.Model, shape: tuple[int, int], mask: np.ndarray, message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        model.inpaint(np.zeros(shape, dtype=np.uint8), mask)


def test_what_cannot_be_drawn_is_named(model: px.Model, digits: px.Dataset) -> None:
    with pytest.raises(UsageError, match="unknown class 'x'"):
        model.generate(1, label="x")
    with pytest.raises(UsageError, match="count is 0"):
        model.generate(0)
    with pytest.raises(UsageError, match="takes one image; got several"):
        model.inpaint(np.zeros((2, 8, 8)), np.ones((8, 8)))
    with pytest.raises(UsageError, match="predicts nothing for an image"):
        model.predict(np.zeros((8, 8)))
    plain = px.train("generate", digits, network="logistic", steps=1, **FAST)
    with pytest.raises(UsageError, match="the model has no classes"):
        plain.generate(1, label="4")
    classifier = px.train("classify", digits, network="logistic", steps=1, progress=False)
    with pytest.raises(UsageError, match="makes no pictures; train one with `pixelry train generate`"):
        classifier.generate(1)


def test_what_cannot_be_trained_is_named(squares: px.Dataset) -> None:
    with pytest.raises(UsageError, match=r"11,520 bits.* at most 8,192 go"):
        px.train("generate", squares, network="logistic", steps=1, settings={"levels": 16}, **FAST)
    with pytest.raises(UsageError, match=r"which see .* in windows of reach 6"):
        px.train("generate", squares, network="logistic", steps=1, settings={"levels": 3, "pairs": 6}, **FAST)
    with pytest.raises(UsageError, match="levels is 1"):
        px.train("generate", squares, network="logistic", steps=1, settings={"levels": 1}, **FAST)
    with pytest.raises(UsageError, match="pairs is -1"):
        px.train("generate", squares, network="logistic", steps=1, settings={"pairs": -1}, **FAST)
    bare = px.Dataset("bare", {"train": Split(squares["train"].images)})
    with pytest.raises(DataError, match="no class labels, which --set conditional=true needs"):
        px.train("generate", bare, network="logistic", steps=1, settings={"conditional": True}, **FAST)


def test_colours_are_drawn(squares: px.Dataset) -> None:
    model = px.train("generate", squares, network="logistic", steps=20, **FAST)
    assert model.generate(2)[1].image.shape == (16, 16, 3)
    assert model.evaluate(squares).metrics["images"] == 20


def test_the_verbs_write_files(model: px.Model, digits: px.Dataset, here: Path) -> None:
    made = px.generate(model, count=5, seed=2, out=here / "made")
    names = {path.name for path in made.folder.iterdir()}  # type: ignore[union-attr]
    assert names == {*(f"{image.name}.png" for image in made), "images.jsonl", "sheet.png"}
    lines = [json.loads(line) for line in (here / "made" / "images.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(5))
    assert np.array_equal(px.read_image(here / "made" / lines[4]["file"]), made[4].image)
    write_image(here / "digit.png", digits["test"].images[0, 0].numpy())
    write_image(here / "mask.png", np.repeat(np.array([0, 255], dtype=np.uint8), 32).reshape(8, 8))
    completed = px.inpaint(model, here / "digit.png", mask=here / "mask.png", count=3)
    assert completed.folder == Path("runs/inpaint-logistic")
    assert len(list((here / "runs/inpaint-logistic").iterdir())) == 5
