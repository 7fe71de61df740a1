"""A stop of the tour: a photograph made small, and large again."""

from __future__ import annotations

import torch
from skimage import data as samples

from pixelry import api_compare
from pixelry.data.builtin import photos
from pixelry.model import Model, load_model
from pixelry.pixels import contact_sheet, psnr, to_uint8, write_image
from pixelry.report import Section
from pixelry.reports.findings import BeforeAfter
from pixelry.tour import Stop
from pixelry.types import Restored

FACTOR = 3
SHAPE = (252, 324)  # of the photograph: multiples of the factor
RUNGS = ("bicubic", "edsr")
TEXT = (
    f"Photographs are made {FACTOR} times smaller in both directions, and a residual network learns the way back. It "
    "works at the size of the small picture and adds to what bicubic interpolation, the rung below, makes of it."
)


def visit(stop: Stop) -> list[Section]:
    """Learn from photographs, and enlarge one that was not trained on."""
    minutes = stop.seconds / 60
    comparison = api_compare.compare(
        "upscale", photos(), networks=RUNGS, channels=1, settings={"factor": FACTOR}, minutes=minutes,
        out=stop.out / "upscale", seed=stop.seed,
    )  # fmt: skip
    models = {rung.network: load_model(rung.folder) for rung in comparison.rungs}
    code = (
        f"pixelry compare upscale --data photos --channels 1 --set factor={FACTOR} --networks {','.join(RUNGS)} "
        f"--minutes {minutes:g}\n"
        "pixelry predict tour/upscale/edsr tour/small.png --out large/"
    )
    (section,) = comparison.sections(stop.out)
    return [Section("Enlarging pictures", TEXT, code, section.tables, (_photo(models, stop), *section.pictures[:1]))]


def _photo(models: dict[str, Model], stop: Stop) -> BeforeAfter:
    height, width = SHAPE
    clean = samples.camera()[60 : 60 + height, 120 : 120 + width]
    # As in training: bicubic interpolation with antialiasing.
    seen = models[RUNGS[0]].task.observe({"image": torch.from_numpy(clean / 255.0)[None, None]}, training=False)
    small = to_uint8(seen["image"][0, 0].numpy())
    write_image(stop.out / "small.png", small)
    shown, labels = [small], [f"given, {width // FACTOR} x {height // FACTOR}"]
    for name in RUNGS:
        large = models[name].predict(small)
        assert isinstance(large, Restored)
        shown.append(large.image)
        labels.append(f"{name}, {psnr(large.image, reference=clean):.1f} dB")
    sheet = contact_sheet([*shown, clean], labels=[*labels, "as it was"], columns=2, cell=330)
    write_image(stop.out / "enlarged.png", sheet)
    note = f"{FACTOR} times as high and wide as what was given, at 1:1. Drag the line."
    return BeforeAfter(
        "A photograph that was not trained on", shown[1], shown[2], note, (labels[1], labels[2]), clean, "as it was"
    )
