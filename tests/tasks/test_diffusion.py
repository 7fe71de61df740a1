"""Diffusion: the process against closed forms, samplers against exact solutions, training against known data."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pixelry as px
from pixelry.data.dataset import Dataset, Split
from pixelry.errors import DataError, ImageError, TrainingError, UsageError
from pixelry.pixels import write_image
from pixelry.tasks.base import Form
from pixelry.tasks.generate import Diffusion
from pixelry.tasks.generate.diffusion import samplers
from pixelry.tasks.generate.diffusion.inpaint import repaint
from pixelry.tasks.generate.diffusion.objectives import EDM, Epsilon, Flow, Objective, stratified
from pixelry.tasks.generate.diffusion.process import Schedule, prior_bits, variational_bound
from pixelry.types import Generated

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "contiguous"}
SMALL = {"width": 16, "blocks": 1}
LEVELS = {"mean": 0.5, "std": 1.2, "largest": 80.0, "smallest": 0.01}

# A Gaussian in two dimensions, as pictures of 1x2 pixels, whose best denoiser is known.
MEAN = torch.tensor([0.3, -0.2])
COVARIANCE = torch.tensor([[0.5, 0.3], [0.3, 0.4]])


def gaussian_denoiser(x: Tensor, sigma: Tensor) -> Tensor:
    """E[x_0 | x] = mean + C (C + sigma^2)^-1 (x - mean)."""
    shrink = COVARIANCE @ torch.linalg.inv(COVARIANCE + sigma.square() * torch.eye(2))
    return MEAN + (x - MEAN) @ shrink.T


def gaussian_end(x: Tensor, sigma: float) -> Tensor:
    """Where the differential equation leads from x at sigma: it scales each principal direction."""
    values, vectors = torch.linalg.eigh(COVARIANCE.double())
    scale = (values / (values + sigma**2)).sqrt()
    return (MEAN + ((x.double() - MEAN) @ vectors * scale) @ vectors.T).float()


def noise_of(shape: tuple[int, ...], seed: int) -> Callable[[], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, generator=generator)


# --- the process ---------------------------------------------------------------------------------------------------


def test_linear_schedule_is_the_published_one() -> None:
    schedule = Schedule("linear")
    assert schedule.betas[0] == pytest.approx(1e-4)
    assert schedule.betas[-1] == pytest.approx(0.02)
    products = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    np.testing.assert_allclose(schedule.alpha_bars[1:].numpy(), products, rtol=1e-10)
    assert schedule.alpha_bars[-1] < 5e-5  # hardly anything of the picture is left


def test_cosine_schedule_is_the_published_one() -> None:
    schedule = Schedule("cosine")
    f = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(schedule.alpha_bars[:-1].numpy(), (f / f[0])[:-1], rtol=1e-6)
    assert schedule.betas.max() == 0.999


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_noised_pictures_follow_the_closed_form(shape: Any) -> None:
    """Equation 4 against the chain of equation 2, step by step, and its mean and variance."""
    schedule, t = Schedule(shape, 50), 20
    start = torch.tensor([0.8, -0.5]).view(1, 1, 1, 2).expand(200_000, -1, -1, -1)
    draw = noise_of(tuple(start.shape), 0)
    x = start
    for beta in schedule.betas[:t].float():
        x = (1 - beta).sqrt() * x + beta.sqrt() * draw()
    direct = schedule.noised(start, torch.full((len(start),), t), draw())
    for values in (x, direct):
        expected = schedule.alpha_bars[t].sqrt().float() * start[0]
        torch.testing.assert_close(values.mean(0), expected, atol=0.01, rtol=0)
        torch.testing.assert_close(
            values.var(0), (1 - schedule.alpha_bars[t]).float().expand(1, 1, 2), atol=0.01, rtol=0
        )


def test_sigma_is_the_same_process_on_another_scale() -> None:
    schedule = Schedule("linear")
    images, noise = torch.rand(4, 1, 3, 3) * 2 - 1, torch.randn(4, 1, 3, 3)
    t = torch.tensor([1, 10, 500, 1000])
    scaled = schedule.noised(images, t, noise) / schedule.alpha_bars[t].sqrt().float().view(-1, 1, 1, 1)
    torch.testing.assert_close(
        scaled, images + schedule.sigmas[t].float().view(-1, 1, 1, 1) * noise, rtol=1e-4, atol=1e-3
    )
    # And the network of the published objective sees just that x_t.
    seen = Epsilon(schedule).scaling(schedule.sigmas[t].float()).into * scaled
    torch.testing.assert_close(seen, schedule.noised(images, t, noise), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(schedule.time(schedule.sigmas[t].float()), t.float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_every_term_of_the_bound_is_finite(shape: Any) -> None:
    schedule = Schedule(shape)
    images = (torch.randint(0, 256, (1000, 1, 2, 2)) / 255) * 2 - 1
    t = torch.arange(1, 1001)
    for denoise in (lambda x, sigma: torch.zeros_like(x), lambda x, sigma: images):
        terms = variational_bound(denoise, images, schedule, noise=torch.randn(images.shape), t=t)
        assert terms.shape == (1000,)
        assert torch.isfinite(terms).all()
        assert (terms >= 0).all()
    # What knows the picture has nothing to pay but the first step's, whose noise may cross to the next level.
    assert terms[1:].max() == 0
    prior = prior_bits(images, schedule)
    assert torch.isfinite(prior).all()
    assert prior.max() < 1e-3


def test_the_bound_is_above_the_likelihood_and_near_it_for_the_best_denoiser() -> None:
    """Pictures of one pixel from a Gaussian: the entropy of its levels is known, and the bound is tight for large T."""
    schedule, std = Schedule("linear"), 0.3
    generator = torch.Generator().manual_seed(0)
    levels = ((torch.randn(400_000, generator=generator) * std).clamp(-1, 1) * 127.5 + 127.5).round()
    images = (levels / 127.5 - 1).view(-1, 1, 1, 1)
    shares = torch.bincount(levels.long()).double() / len(levels)
    entropy = -(shares * shares.clamp_min(1e-12).log2()).sum()

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        weight = std**2 / (std**2 + sigma.square())
        return x * weight.view(-1, 1, 1, 1)

    t = torch.randint(1, 1001, (len(images),), generator=generator)
    terms = variational_bound(denoise, images, schedule, noise=torch.randn(images.shape, generator=generator), t=t)
    bound = 1000 * terms.mean() + prior_bits(images, schedule).mean()
    # The rest is what 1000 steps leave open: the last has noise of 1.3 levels.
    assert entropy - 0.05 < bound < entropy + 0.6


# --- what the network learns ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [EDM(**LEVELS), Flow(**LEVELS), Epsilon(), Epsilon(Schedule("cosine"))], ids=repr)
def test_a_network_that_is_right_denoises_perfectly(objective: Objective) -> None:
    torch.manual_seed(0)
    images, noise, u = torch.randn(64, 1, 4, 4), torch.randn(64, 1, 4, 4), stratified(64)
    sigma = objective.sigma(u)
    assert (sigma > 0).all()
    c = objective.scaling(sigma)
    x = images + sigma.view(-1, 1, 1, 1) * noise
    target = (images - c.skip * x) / c.out
    torch.testing.assert_close(objective.losses(lambda x, level: target, images, noise, u), torch.zeros(64))
    denoised = objective.denoiser(lambda x, level: target)(x, sigma)
    torch.testing.assert_close(denoised, images, rtol=1e-3, atol=1e-3 * float(sigma.max()))
    assert len(c.noise.unique()) > 40  # the network is told the level


def test_objectives_learn_what_their_papers_say() -> None:
    torch.manual_seed(0)
    images, noise, u = torch.randn(5000, 1, 1, 4), torch.randn(5000, 1, 1, 4), stratified(5000)
    torch.testing.assert_close(
        Epsilon().losses(lambda x, level: noise, images, noise, u), torch.zeros(5000), atol=1e-4, rtol=0
    )
    velocity = noise - images
    torch.testing.assert_close(
        Flow(**LEVELS).losses(lambda x, level: velocity, images, noise, u), torch.zeros(5000), atol=1e-6, rtol=0
    )
    # EDM: input and target have variance 1 at every level.
    for sigma in (0.01, 1.0, 80.0):
        c = EDM(**LEVELS).scaling(torch.full((5000,), sigma))
        x = images + sigma * noise
        assert float((c.into * x).var()) == pytest.approx(1, abs=0.05)
        assert float(((images - c.skip * x) / c.out).var()) == pytest.approx(1, abs=0.05)


def test_levels_are_stratified() -> None:
    u = stratified(100, torch.Generator().manual_seed(0))
    assert sorted((u * 100).long().tolist()) == list(range(100))


# --- samplers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", samplers.NAMES)
def test_samplers_draw_from_a_gaussian_whose_score_is_known(name: str) -> None:
    shape = (40_000, 1, 1, 2)
    noise = noise_of(shape, 1)
    levels = samplers.noise_levels(400 if name in ("ddpm", "ddim") else 60, largest=50.0, smallest=0.002)
    drawn = getattr(samplers, name)(gaussian_denoiser, noise() * levels[0], levels, noise).view(-1, 2)
    torch.testing.assert_close(drawn.mean(0), MEAN, atol=0.02, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T), COVARIANCE, atol=0.02, rtol=0)


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("heun", 2), ("dpmpp", 2), ("unipc", 2)])
def test_samplers_agree_with_the_exact_solution_as_steps_grow(name: str, order: int) -> None:
    largest, smallest = 10.0, 1e-4
    x = noise_of((200, 1, 1, 2), 2)() * largest
    exact = gaussian_end(x, largest)
    errors = []
    for steps in (20, 40, 80):
        levels = samplers.noise_levels(steps, largest=largest, smallest=smallest)
        errors.append(float((getattr(samplers, name)(gaussian_denoiser, x, levels, lambda: x) - exact).abs().max()))
    # Halving the steps' length divides the error by 2 ** order, or nearly.
    assert errors[0] / errors[1] > 1.6**order
    assert errors[1] / errors[2] > 1.6**order
    assert errors[2] < 0.1


def test_better_samplers_need_fewer_steps() -> None:
    x = noise_of((200, 1, 1, 2), 2)() * 10.0
    exact, error = gaussian_end(x, 10.0), {}
    for name in ("ddim", "dpmpp", "unipc"):
        levels = samplers.noise_levels(10, largest=10.0, smallest=1e-3)
        error[name] = float((getattr(samplers, name)(gaussian_denoiser, x, levels, lambda: x) - exact).abs().mean())
    assert error["dpmpp"] < error["ddim"] / 1.8
    assert error["unipc"] < error["dpmpp"]


def test_ancestral_step_is_algorithm_2() -> None:
    """One step in x_t as in the paper, with its posterior variance, against the step in x_t / sqrt(alpha_bar_t)."""
    schedule, t = Schedule("linear"), 300
    x, z, eps = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    a_t, a_s = schedule.alpha_bars[t].float(), schedule.alpha_bars[t - 1].float()
    beta = schedule.betas[t - 1].float()
    paper = (x - beta / (1 - a_t).sqrt() * eps) / (1 - beta).sqrt() + ((1 - a_s) / (1 - a_t) * beta).sqrt() * z

    def denoise(y: Tensor, sigma: Tensor) -> Tensor:
        return y - sigma * eps

    levels = torch.stack([schedule.sigmas[t], schedule.sigmas[t - 1]]).float()
    ours = samplers.ddpm(denoise, x / a_t.sqrt(), levels, lambda: z) * a_s.sqrt()
    torch.testing.assert_close(ours, paper, rtol=1e-3, atol=1e-3)


def test_schedule_levels_take_every_step_of_the_process() -> None:
    schedule = Schedule("linear")
    torch.testing.assert_close(samplers.schedule_levels(1000, schedule), schedule.sigmas.flip(0).float())
    assert len(samplers.schedule_levels(50, schedule)) == 51


@pytest.mark.parametrize("name", samplers.NAMES)
def test_one_step_is_the_denoised_picture(name: str) -> None:
    x = torch.randn(3, 1, 1, 2) * 5
    levels = samplers.noise_levels(1, largest=5.0, smallest=0.1)
    drawn = getattr(samplers, name)(gaussian_denoiser, x, levels, lambda: x)
    torch.testing.assert_close(drawn, gaussian_denoiser(x, levels[0]))


def test_completion_follows_the_conditional_distribution() -> None:
    """The first pixel is given: the second one's mean and variance given it are known for a Gaussian."""
    shape = (4000, 1, 1, 2)
    noise, first = noise_of(shape, 3), 1.0
    levels = samplers.noise_levels(60, largest=20.0, smallest=0.005)
    drawn = repaint(
        gaussian_denoiser, noise() * levels[0], levels, noise,
        given=torch.tensor([first, 9.0]).view(1, 1, 1, 2), known=torch.tensor([[True, False]]), repeats=10,
        on_step=lambda step, x, denoised: None,
    )  # fmt: skip
    assert (drawn[..., 0] == first).all()
    slope = COVARIANCE[0, 1] / COVARIANCE[0, 0]
    assert float(drawn[..., 1].mean()) == pytest.approx(float(MEAN[1] + slope * (first - MEAN[0])), abs=0.05)
    assert float(drawn[..., 1].var()) == pytest.approx(float(COVARIANCE[1, 1] - slope * COVARIANCE[0, 1]), abs=0.05)


# --- the whole -----------------------------------------------------------------------------------------------------


def gaussian_pictures(count: int) -> Dataset:
    """Pictures of 4x4 pixels from a Gaussian with a mean and a covariance that a look would show."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.linspace(0.3, 0.7, 16)
    factor = torch.randn(2, 16, generator=generator) * 0.07
    values = (
        mean + torch.randn(count, 2, generator=generator) @ factor + 0.02 * torch.randn(count, 16, generator=generator)
    )
    pixels = (values.clamp(0, 1) * 255).round().byte().view(-1, 1, 4, 4)
    return Dataset("gaussian", {"train": Split(pixels)}, ())


@pytest.mark.parametrize("objective", ["edm", "flow", "eps"])
def test_a_model_trained_on_a_gaussian_gives_its_mean_and_covariance(objective: str) -> None:
    data = gaussian_pictures(4000)
    model = px.train(
        "generate", data, network="ddpm", steps=500, val_fraction=0,
        settings={**SMALL, "objective": objective, "width": 32, "lr": 4e-3, "optimizer": "adamw"}, **FAST,
    )  # fmt: skip
    made = model.generate(2000)
    drawn = torch.stack([torch.from_numpy(np.asarray(m)).flatten() for m in made]).double() / 255
    real = data["train"].images.flatten(1).double() / 255
    assert (drawn.mean(0) - real.mean(0)).abs().max() < 0.02
    ours, true = torch.cov(drawn.T), torch.cov(real.T)
    assert float((ours - true).norm() / true.norm()) < 0.25


@pytest.fixture(scope="module")
def model(few_digits_module: Dataset) -> px.Model:
    settings = {**SMALL, "conditional": True, "steps": 4}
    return px.train("generate", few_digits_module, network="ddpm", steps=30, settings=settings, **FAST)


@pytest.fixture(scope="module")
def few_digits_module() -> Dataset:
    digits = px.load_dataset("digits")
    splits = {"train": digits["train"].subset(range(200)), "test": digits["test"].subset(range(60))}
    return Dataset("few-digits", splits, digits.classes)


def test_a_picture_is_the_same_alone_and_among_others(model: px.Model) -> None:
    for settings in ({}, {"sampler": "ddpm"}, {"guidance": 2.0}):
        among = model.generate(6, seed=3, settings=settings)
        (alone,) = model.generate(1, seed=3, start=4, settings=settings)
        assert isinstance(alone, Generated)
        assert alone.label == among[4].label
        difference = np.abs(np.asarray(alone).astype(int) - np.asarray(among[4]).astype(int))
        assert difference.max() <= 1
        assert np.abs(np.asarray(among[3]).astype(int) - np.asarray(among[4]).astype(int)).max() > 1


def test_settings_change_how_pictures_are_drawn(model: px.Model) -> None:
    plain = np.asarray(model.generate(1)[0]).astype(int)
    for settings in ({"steps": 9}, {"guidance": 5.0}, {"sampler": "ddpm"}):
        assert np.abs(np.asarray(model.generate(1, settings=settings)[0]).astype(int) - plain).max() > 0


def test_guidance_is_the_published_combination(model: px.Model) -> None:
    """At one step the picture is the denoiser's, so that it is linear in the guidance where nothing is cut off."""
    generators = lambda: [torch.Generator().manual_seed(i) for i in range(4)]  # noqa: E731
    labels = torch.tensor([1, 2, 3, 4])
    drawn = {}
    for guidance in (0.0, 1.0, 3.0):
        task = model.task.with_settings({"guidance": guidance, "steps": 1})
        drawn[guidance] = task.trace(model.network, generators(), labels)[-1]
    expected = (drawn[0.0] + 3 * (drawn[1.0] - drawn[0.0])).clamp(0, 1)
    whole = [(image > 0) & (image < 1) for image in (drawn[0.0], drawn[1.0])]
    inside = whole[0] & whole[1]  # elsewhere a part was cut off before it could be seen
    assert inside.double().mean() > 0.2
    torch.testing.assert_close(drawn[3.0][inside], expected[inside], atol=1e-4, rtol=0)


def test_any_mask_is_completed_and_known_pixels_stay(model: px.Model, few_digits_module: Dataset) -> None:
    image = few_digits_module["test"].images[0, 0].numpy()
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[2:5, 3:7] = 255
    first, second = model.inpaint(image, mask, count=2, label="3")
    for made in (first, second):
        assert isinstance(made, Generated)
        assert (made.image[mask == 0] == image[mask == 0]).all()
        assert made.label == "3"
    assert (np.asarray(first) != np.asarray(second)).any()
    assert model.inpaint(image, mask)[0].label is None  # the class is left open


def test_evaluation_says_loss_and_bound(model: px.Model) -> None:
    assert math.isfinite(model.card.metrics["bits_bound"])
    assert 0 < model.card.metrics["denoising_loss"] < 2


def test_training_lowers_the_loss_and_the_bound() -> None:
    digits = px.load_dataset("digits")
    short, long = (
        px.train("generate", digits, network="ddpm", steps=steps, settings=SMALL, **FAST).card.metrics
        for steps in (1, 150)
    )
    assert long["denoising_loss"] < 0.7 * short["denoising_loss"]
    assert long["bits_bound"] < short["bits_bound"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0; expected 1 to 1000"),
        ({"steps": 1001}, "steps is 1001"),
        ({"guidance": -1.0}, "guidance is -1.0"),
        ({"smallest": 90.0}, "expected 0 < smallest < largest"),
        ({"sampler": "euler"}, "sampler is 'euler'; it must be one of"),
        ({"stpes": 3}, "did you mean 'steps'"),
        ({"objective": "flow"}, "objective=flow: the model was trained with edm"),
    ],
)
def test_bad_settings_are_named(model: px.Model, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model.generate(1, settings=settings)


def test_labels_outside_of_the_classes_are_named(model: px.Model) -> None:
    with pytest.raises(UsageError, match="unknown class 'seven'"):
        model.generate(1, label="seven")


def test_guidance_needs_classes(few_digits: Dataset) -> None:
    plain = px.train("generate", few_digits, network="ddpm", steps=2, settings=SMALL, **FAST)
    with pytest.raises(UsageError, match="guidance leads to a class"):
        plain.generate(1, settings={"guidance": 2.0})
    with pytest.raises(UsageError, match="the model has no classes"):
        plain.generate(1, label="3")


def test_masks_must_fit(model: px.Model, few_digits: Dataset) -> None:
    image = few_digits["test"].images[0, 0].numpy()
    with pytest.raises(UsageError, match="nothing in the mask is white"):
        model.inpaint(image, np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(UsageError, match="give --label too"):
        model.inpaint(image, np.eye(8, dtype=np.uint8) * 255, settings={"guidance": 2.0})
    with pytest.raises(ImageError, match="mask has shape"):
        model.inpaint(image, np.full((4, 8), 255, dtype=np.uint8))


def test_pictures_of_several_sizes_come_to_the_smallest(here: Path) -> None:
    for i, size in enumerate([(8, 8), (12, 8), (8, 8)]):
        write_image(here / f"data/{i}.png", np.zeros(size, np.uint8))
    model = px.train("generate", here / "data", network="ddpm", steps=1, val_fraction=0, settings=SMALL, **FAST)
    assert model.card.size == (8, 8)
    given = {"settings": SMALL, "size": (12, 12), **FAST}
    assert px.train("generate", here / "data", network="ddpm", steps=1, val_fraction=0, **given).card.size == (12, 12)
    with pytest.raises(DataError, match="--size HEIGHTxWIDTH"):
        model.task.input_form(px.load_dataset(here / "data")["train"], Form())


def test_few_pictures_are_enough_to_begin() -> None:
    data = Dataset("five", {"train": Split(torch.randint(0, 256, (5, 3, 9, 7), dtype=torch.uint8))}, ())
    model = px.train("generate", data, network="ddpm", steps=2, settings=SMALL, val_fraction=0, **FAST)
    assert np.asarray(model.generate(1, settings={"steps": 2})[0]).shape == (9, 7, 3)


def test_divergence_stops_and_says_what_is_kept(
    few_digits: Dataset, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = Diffusion.losses, []

    def losses(self: Diffusion, *given: Any) -> dict[str, Tensor]:
        calls.append(1)
        return {name: value * (1 if len(calls) <= 3 else math.nan) for name, value in plain(self, *given).items()}

    monkeypatch.setattr(Diffusion, "losses", losses)
    how: dict[str, Any] = {"network": "ddpm", "steps": 60, "settings": SMALL, **FAST}
    # Step 3 ends with a finite loss; whether its weights give one is what step 4 would have to show.
    with pytest.raises(TrainingError, match=r"training has diverged.*last good checkpoint, of step 2, is kept in"):
        px.train("generate", few_digits, checkpoint_seconds=0.0, out=here / "run", **how)
    kept = torch.load(here / "run/checkpoints/last.ckpt", weights_only=True)
    assert kept["pixelry"]["step"] == 2
    assert [file.name for file in (here / "run/checkpoints").iterdir()] == ["last.ckpt"]
    calls.clear()
    with pytest.raises(TrainingError, match="nothing to go back to"):
        px.train("generate", few_digits, checkpoint_seconds=60.0, out=here / "again", **how)
