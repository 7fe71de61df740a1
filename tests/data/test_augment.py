"""Augmentation of whole batches."""

from __future__ import annotations

import pytest
import torch

from pixelry.data.augment import (
    augment_share,
    augment_some,
    choose_policy,
    cut_out,
    make_augment,
    random_mirror,
    random_shift,
    random_symmetry,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("policy", ["none", "glyphs", "photos", "symmetries"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (28, 28), (32, 48)])
def test_shape_range_and_seed(policy: str, size: tuple[int, int]) -> None:
    images = torch.rand(6, 3, *size, generator=generator(1))
    augment = make_augment(policy, size=size)  # type: ignore[arg-type]
    first, again = augment(images, generator()), augment(images, generator())
    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert first.min() >= -1e-6
    assert first.max() <= 1 + 1e-6
    if policy != "none" and min(size) >= 28:
        assert not torch.equal(first, augment(images, generator(2)))


def test_digits_are_not_mirrored_and_photographs_are() -> None:
    assert choose_policy(1, ("cat", "dog")) == "glyphs"
    assert choose_policy(3, tuple("0123456789")) == "glyphs"
    assert choose_policy(3, ("cat", "dog")) == "photos"


def test_each_image_is_mirrored_by_its_own_draw() -> None:
    images = torch.rand(200, 1, 4, 4)
    out = random_mirror(images, generator())
    same = (out == images).flatten(1).all(1)
    mirrored = (out == images.flip(-1)).flatten(1).all(1)
    assert (same | mirrored).all()
    assert 70 < int(same.sum()) < 130


def test_symmetries_are_the_eight_of_the_square() -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    out = random_symmetry(image.repeat(300, 1, 1, 1), generator())
    turned = [torch.rot90(one, k, (-2, -1)) for one in (image, image.flip(-1)) for k in range(4)]
    assert {one[None].numpy().tobytes() for one in out} == {one.contiguous().numpy().tobytes() for one in turned}
    wide = random_symmetry(torch.arange(6.0).view(1, 1, 2, 3).repeat(100, 1, 1, 1), generator())
    assert len({one.numpy().tobytes() for one in wide}) == 4


def test_shift_moves_and_reflects() -> None:
    image = torch.arange(25.0).view(1, 1, 5, 5)
    out = random_shift(image.repeat(300, 1, 1, 1), 2, generator())
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2), mode="reflect")
    crops = {padded[..., y : y + 5, x : x + 5].numpy().tobytes() for y in range(5) for x in range(5)}
    assert {one[None].numpy().tobytes() for one in out} == crops


def test_cut_out_sets_a_square_to_the_mean() -> None:
    images = torch.rand(50, 3, 16, 16)
    out = cut_out(images, 4, generator())
    changed = (out != images).any(1)
    assert (changed.flatten(1).sum(1) <= 16).all()
    assert changed.any()
    mean = images.mean((0, 2, 3))
    assert torch.allclose(out[0][:, changed[0]], mean[:, None])


def test_only_pictures_that_come_again_are_augmented() -> None:
    assert [augment_share(passes) for passes in (0, 1, 2, 50)] == [0, 0.5, 1, 1]
    images = torch.rand(400, 1, 8, 8)
    augment = make_augment("glyphs", size=(8, 8))
    out = augment_some(augment, images, generator(), 0.25)
    changed = int((out != images).flatten(1).any(1).sum())
    assert 70 < changed < 130
    assert torch.equal(augment_some(augment, images, generator(), 0.0), images)
