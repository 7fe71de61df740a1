"""A stop of the tour: a generative adversarial network and a diffusion model, side by side on the same digits."""

from __future__ import annotations

import numpy as np

from pixelry import api_compare
from pixelry.comparison import Comparison
from pixelry.data.catalog import load_dataset
from pixelry.data.sheet import as_picture
from pixelry.model import Model, load_model
from pixelry.pixels import contact_sheet, write_image
from pixelry.report import Section
from pixelry.tasks.base import Picture
from pixelry.tour import Stop
from pixelry.types import Generated
from pixelry.way import way_strip, way_to_pictures

# Half as many channels at the coarsest level as by default, and three times the steps within the time.
DIFFUSION = "ddpm:growth=2"
NETWORKS = ("dcgan", DIFFUSION)
# Both learn more slowly than what stands on the other stops.
PATIENCE = 40 / 12
JUDGED = 500
DRAWS = 5
TEXT = (
    "Two deep ways to make pictures. A DCGAN is a game: a generator makes pictures from random numbers, a "
    "discriminator tells them from real ones, and each learns from the other; one pass makes a picture. A diffusion "
    "model learns to take noise away, at every level of noise, and makes a picture from nothing but noise in some "
    "twenty passes. Both learn the classes here, so that each can be asked for. The Fréchet distance says how far the "
    "pictures are from real ones in the features of a small network that reads digits (less is better; real ones have "
    "the floor). And what takes noise away can fill any hole, though it was never trained to."
)


def visit(stop: Stop) -> list[Section]:
    """Compare the two, draw digits class by class with both, show the way from noise, and fill a hole."""
    minutes = stop.seconds * PATIENCE / 60
    comparison = api_compare.compare(
        "generate", "digits", networks=list(NETWORKS), settings={"conditional": True}, minutes=minutes, count=JUDGED,
        out=stop.out / "diffuse", seed=stop.seed,
    )  # fmt: skip
    models = {rung.network: load_model(rung.folder) for rung in comparison.rungs}
    code = (
        f"pixelry compare generate --data digits --networks {','.join(NETWORKS)} --set conditional=true "
        f"--minutes {minutes:.2g} --out both\n"
        "pixelry generate both/dcgan --label 7 --count 10 --animate --out sevens/\n"
        "pixelry generate both/ddpm-growth-2 --label 7 --count 10 --guidance 2 --animate --out more-sevens/\n"
        "pixelry inpaint both/ddpm-growth-2 tour/digit.png --mask tour/hole.png --count 5 --out filled/\n"
        "pixelry evaluate both/ddpm-growth-2 --data digits --out report/"
    )
    pictures = [_sheet(models[name], name, comparison, stop) for name in NETWORKS]
    pictures += [_way(models[DIFFUSION], stop), _filled(models[DIFFUSION], stop)]
    (section,) = comparison.sections(stop.out)
    return [Section("A game, and noise", TEXT, code, section.tables, tuple(pictures))]


def _sheet(model: Model, name: str, comparison: Comparison, stop: Stop) -> Picture:
    sheet = model.task.samples(model.network)
    assert sheet is not None
    network = name.partition(":")[0]
    write_image(stop.out / f"{network}.png", sheet)
    rung = next(rung for rung in comparison.rungs if rung.network == name)
    floor = rung.metrics["frechet_floor"]
    note = (
        f"A row for each class, not chosen. Fréchet distance {rung.metrics['frechet']:.1f} (real pictures: "
        f"{floor:.1f}); {rung.metrics['class_consistency']:.0%} are read as what was asked for; "
        f"{rung.images_per_second:,.0f} a second."
    )
    return Picture(f"Digits by {network}", sheet, note)


def _way(model: Model, stop: Stop) -> Picture:
    strip = way_strip(way_to_pictures(model, seed=stop.seed))
    write_image(stop.out / "way.png", strip)
    return Picture("From noise", strip, "Each row is one picture on its way.")


def _filled(model: Model, stop: Stop) -> Picture:
    test = load_dataset("digits")["test"]
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[2:6, 2:6] = 255
    write_image(stop.out / "hole.png", mask)
    cells = []
    for index in range(4):
        image = as_picture(test.images[index])
        results = model.inpaint(image, mask, count=DRAWS, seed=stop.seed)
        drawn = [result.image for result in results if isinstance(result, Generated)]
        cells += [np.where(mask > 0, np.uint8(128), image), *drawn, image]
    labels = ["given", *[f"drawn {k + 1}" for k in range(DRAWS)], "the whole"]
    sheet = contact_sheet(cells, labels=labels * 4, columns=DRAWS + 2, cell=96)
    write_image(stop.out / "filled.png", sheet)
    return Picture("A hole, filled", sheet, "Several draws; what is around the hole is kept to the pixel.")
