"""A stop of the tour: digits that nobody wrote, and halves completed, by logistic regression."""

from __future__ import annotations

import numpy as np

from pixelry import api_compare
from pixelry.data.catalog import load_dataset
from pixelry.data.sheet import as_picture
from pixelry.draw import draw_samples
from pixelry.model import Model, load_model
from pixelry.pixels import contact_sheet, write_image
from pixelry.report import Section
from pixelry.tasks.base import Picture
from pixelry.tour import Stop
from pixelry.types import Generated

LEVELS = 4
COMPLETED = 4
DRAWS = 5
TEXT = (
    "And once more, one regression for each pixel: on all pixels that come before it. The product of all these "
    "probabilities is the probability of a picture, so that a model is judged by how likely it finds digits that it "
    "has not seen (nll_nats, less is better), and draws new ones pixel by pixel, each a toss of a biased coin. A half "
    "that is given is kept, and the rest drawn."
)


def visit(stop: Stop) -> list[Section]:
    """Compare two rungs, draw digits class by class, and complete the upper halves of given ones."""
    minutes = stop.seconds / 120  # a regression learns in half of the time that a network takes
    settings = {"levels": LEVELS, "conditional": True}
    comparison = api_compare.compare(
        "generate", "digits", networks=["logistic", "logistic:pairs=2"], settings=settings, minutes=minutes,
        out=stop.out / "generate", seed=stop.seed,
    )  # fmt: skip
    best = load_model(comparison.rungs[0].folder)
    code = (
        f"pixelry train generate --data digits --set levels={LEVELS} --set conditional=true --set pairs=2 --out maker\n"
        "pixelry generate maker --count 100 --out digits/\n"
        "pixelry generate maker --label 7 --count 10 --out sevens/\n"
        f"pixelry inpaint maker tour/digit.png --mask tour/mask.png --count {DRAWS} --out completed/"
    )
    (section,) = comparison.sections(stop.out)
    return [Section("Making pictures", TEXT, code, section.tables, (_sheet(best, stop), _completed(best, stop)))]


def _sheet(model: Model, stop: Stop) -> Picture:
    drawn = [image for label in model.classes for image in model.generate(10, label=label, seed=stop.seed)]
    sheet = draw_samples([np.asarray(image) for image in drawn])
    write_image(stop.out / "generated.png", sheet)
    return Picture("Digits that nobody wrote", sheet, "A row for each class, not chosen.")


def _completed(model: Model, stop: Stop) -> Picture:
    test = load_dataset("digits")["test"]
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[4:] = 255
    write_image(stop.out / "mask.png", mask)
    cells = []
    for index in range(COMPLETED):
        image = as_picture(test.images[index])
        if index == 0:
            write_image(stop.out / "digit.png", image)
        results = model.inpaint(image, mask, count=DRAWS, seed=stop.seed)
        drawn = [result for result in results if isinstance(result, Generated)]
        half = np.where(mask > 0, np.uint8(128), image)
        cells += [half, *(result.image for result in drawn), image]
    labels = ["given", *[f"drawn {k + 1}" for k in range(DRAWS)], "the whole"]
    sheet = contact_sheet(cells, labels=labels * COMPLETED, columns=DRAWS + 2, cell=96)
    write_image(stop.out / "completed.png", sheet)
    return Picture("The lower half, drawn", sheet, "Several draws from the same upper half.")
