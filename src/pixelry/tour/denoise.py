"""A stop of the tour: a noisy photograph and noisy digits, restored by regressions and by networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage import data as samples

from pixelry import api, api_compare
from pixelry.data.builtin import photos
from pixelry.data.catalog import load_dataset
from pixelry.data.sheet import as_picture
from pixelry.model import Model, load_model
from pixelry.pixels import contact_sheet, gaussian_noise, psnr, write_image
from pixelry.report import Section
from pixelry.reports.findings import BeforeAfter
from pixelry.tasks.base import Picture
from pixelry.tour import Stop
from pixelry.types import Restored

SIGMA = 25
DIGITS_SIGMA = 40
# In a third of this time the network is not yet above non-local means.
PATIENCE = 36 / 12
SHOWN = 10
RUNGS = ("nlm", "logistic", "unet")
TEXT = (
    "The ladder begins with a classical method, which averages pixels whose surroundings look alike and has nothing to "
    "learn. Then comes logistic regression, now one for each pixel: its intensity, between 0 and 1, is the target, the "
    "noisy window around it the input. The last rung is a small U-Net, which sees the picture on three scales and says "
    "what of it is noise."
)


def visit(stop: Stop) -> list[Section]:
    """Climb the ladder on photographs, restore one that was not trained on, then digits."""
    minutes = stop.seconds * PATIENCE / 60
    comparison = api_compare.compare(
        "denoise", photos(), networks=RUNGS, channels=1, minutes=minutes, out=stop.out / "denoise", seed=stop.seed
    )
    best = load_model(comparison.rungs[0].folder)
    digits = api.train(
        "denoise", "digits", network="logistic", settings={"sigma": DIGITS_SIGMA}, minutes=stop.seconds / 120,
        out=stop.out / "denoise-digits", seed=stop.seed,
    )  # fmt: skip
    code = (
        f"pixelry compare denoise --data photos --channels 1 --networks {','.join(RUNGS)} --minutes {minutes:g}\n"
        f"pixelry predict tour/denoise/{Path(comparison.rungs[0].folder).name} tour/noisy.png --out restored/\n"
        f"pixelry train denoise --data digits --network logistic --set sigma={DIGITS_SIGMA}"
    )
    (section,) = comparison.sections(stop.out)
    pictures = (_photo(best, stop), _digits(digits, stop), *section.pictures[:1])
    return [Section("Restoring pictures", TEXT, code, section.tables, pictures)]


def _photo(model: Model, stop: Stop) -> BeforeAfter:
    clean = samples.camera()[60:316, 120:440]
    noisy = gaussian_noise(clean, sigma=SIGMA / 255, seed=stop.seed)
    write_image(stop.out / "noisy.png", noisy)
    restored = model.predict(noisy)
    assert isinstance(restored, Restored)
    before, after = (psnr(image, reference=clean) for image in (noisy, restored.image))
    labels = [f"noisy, {before:.1f} dB", f"restored, {after:.1f} dB", "as it was"]
    sheet = contact_sheet([noisy, restored.image, clean], labels=labels, columns=3, cell=340)
    write_image(stop.out / "restored.png", sheet)
    note = f"{model.card.network}, Gaussian noise of sigma {SIGMA}, at 1:1. Drag the line."
    return BeforeAfter(
        "A photograph that was not trained on", noisy, restored.image, note, (labels[0], labels[1]), clean, labels[2]
    )


def _digits(model: Model, stop: Stop) -> Picture:
    test = load_dataset("digits")["test"]
    clean = [as_picture(test.images[i]) for i in range(SHOWN)]
    noisy = [_noisy(image, stop.seed + k) for k, image in enumerate(clean)]
    restored = [np.asarray(result) for result in _restored(model, noisy)]
    sheet = contact_sheet([*noisy, *restored, *clean], columns=SHOWN, cell=88)
    write_image(stop.out / "digits-restored.png", sheet)
    return Picture("Digits", sheet, f"Noisy (sigma {DIGITS_SIGMA}), restored, and as they were.")


def _noisy(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    return gaussian_noise(image, sigma=DIGITS_SIGMA / 255, seed=seed)


def _restored(model: Model, images: list[NDArray[np.uint8]]) -> list[Restored]:
    found = model.predict(images)
    return [result for result in found if isinstance(result, Restored)]  # type: ignore[union-attr]
