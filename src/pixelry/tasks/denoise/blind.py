"""Denoising without clean pictures: a pixel is told from those around it.

Noise of zero mean that is independent from pixel to pixel cannot be told from its neighbours, so whoever predicts a
pixel that it does not see learns the clean picture, though it is judged by the noisy one: the squared error is that
against the clean pixel plus the variance of the noise (Noise2Self, Batson and Royer 2019, proposition 1). A hidden
pixel shows one of its neighbours, drawn by lot, as in Noise2Void (Krull et al. 2019, section 3.2): the network learns
that a pixel says no more of itself than any other beside it, and may see whole pictures when it restores them.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

MASKED = "masked"  # in a batch
EVERY = 4  # pixels in each direction: one of 16 is hidden
REACH = 2  # pixels to the neighbour that is shown, at most, in each direction


def hidden(images: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Return pictures in which some pixels are hidden, and which: a grid that begins elsewhere in each.

    Args:
        images: (B, C, H, W).
        generator: On the CPU; None is torch's own.

    Returns:
        (B, C, H, W), and (B, 1, H, W) bool.
    """
    count, _, height, width = images.shape
    # Of a picture narrower than the grid a pixel is hidden too.
    first_row, first_column = (
        torch.randint(min(EVERY, side), (count, 1), generator=generator) for side in (height, width)
    )
    down = torch.arange(height) % EVERY == first_row
    across = torch.arange(width) % EVERY == first_column
    masked = down[:, :, None] & across[:, None]
    picture, row, column = masked.nonzero(as_tuple=True)
    # Neighbours by number, from which the pixel in the middle is left out.
    side = 2 * REACH + 1
    number = torch.randint(side**2 - 1, row.shape, generator=generator)
    number += number >= side**2 // 2
    there = _within(row + number // side - REACH, height), _within(column + number % side - REACH, width)
    seen = images.clone()
    seen[picture, :, row, column] = images[picture, :, there[0], there[1]]
    return seen, masked[:, None].to(images.device)


def weighted(errors: Tensor, masked: Tensor | None, *, each: bool = False) -> Tensor:
    """Return the mean of errors (B, C, H, W): of all, or of those where pixels are hidden (B, 1, H, W).

    Args:
        errors: One for each number.
        masked: The pixels that count, None for all.
        each: Return the mean of each picture (B,), not one of all.
    """
    over = (1, 2, 3) if each else (0, 1, 2, 3)
    if masked is None:
        return errors.mean(over)
    return (errors * masked).sum(over) / (masked.sum(over) * errors.shape[1]).clamp_min(1)


def _within(index: Tensor, side: int) -> Tensor:
    """Return indices reflected at the borders of a side, as far as that goes."""
    return (side - 1 - (side - 1 - index.abs()).abs()).clamp_min(0)
