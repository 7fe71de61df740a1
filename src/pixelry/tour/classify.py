"""A stop of the tour: the ladder of classifiers on handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelry import api_compare
from pixelry.comparison import Comparison
from pixelry.data.catalog import load_dataset
from pixelry.data.dataset import Dataset
from pixelry.data.sheet import dataset_sheet
from pixelry.model import Model, load_model
from pixelry.pixels import contact_sheet, write_image
from pixelry.report import Section
from pixelry.reports.metrics import metrics_table
from pixelry.tasks.base import Picture
from pixelry.tour import Stop
from pixelry.types import Results

NETWORKS = ("logistic", "cnn", "airbench")
SHOWN = 6


def visit(stop: Stop) -> list[Section]:
    """Look at the data, climb the ladder, judge its best rung, and predict files."""
    data = load_dataset("digits")
    comparison = api_compare.compare(
        "classify",
        data,
        networks=NETWORKS,
        minutes=stop.seconds / 60,
        out=stop.out / "classify",
        seed=stop.seed,
    )
    best = load_model(comparison.rungs[0].folder)
    return [
        _data(data, stop),
        _ladder(comparison, stop),
        *_judged(best, data),
        _predicted(best, data, stop.out),
    ]


def _data(data: Dataset, stop: Stop) -> Section:
    sheet = dataset_sheet(data, split="train", per_class=12, seed=stop.seed)
    write_image(stop.out / "digits.png", sheet)
    return Section(
        "The data",
        f"{data.describe()}. They ship with scikit-learn, so nothing is downloaded.",
        "pixelry data show digits --out digits.png\npixelry data check digits",
        pictures=(Picture("Digits, class by class", sheet),),
    )


def _ladder(comparison: Comparison, stop: Stop) -> Section:
    (section,) = comparison.sections(stop.out)
    comparison.figure().savefig(stop.out / "ladder.png", dpi=110)
    minutes = f"{stop.seconds / 60:g}"
    return Section(
        "The ladder",
        "Softmax regression can be understood on one page, and is the honest baseline. The networks above it get the "
        "same data and the same seconds; the table shows what each rung buys.",
        f"pixelry compare classify --data digits --networks {','.join(NETWORKS)} --minutes {minutes}",
        section.tables,
        section.pictures[:1],
    )


def _judged(model: Model, data: Dataset) -> list[Section]:
    report = model.evaluate(data)
    code = f"pixelry evaluate tour/classify/{model.card.network}/model.safetensors --data digits"
    text = (
        f"The best rung, {model.card.network}, on the {report.metrics['images']} test images, which it has never seen: "
        f"{report.metrics['accuracy']:.2%} are right (95 % interval {report.metrics['accuracy_low']:.2%} to "
        f"{report.metrics['accuracy_high']:.2%})."
    )
    table = metrics_table(report.metrics, task=report.task)
    return [Section("The best rung, judged", text, code, (table, *report.findings.tables), report.findings.pictures)]


def _predicted(model: Model, data: Dataset, out: Path) -> Section:
    test, folder = data["test"], out / "unseen"
    folder.mkdir()
    for index in range(SHOWN):
        image = test.images[index].squeeze(0).numpy()
        write_image(folder / f"image{index}.png", np.asarray(image))
    results = model.predict(folder)
    assert isinstance(results, Results)
    sheet = contact_sheet([result.draw() for result in results], columns=2, cell=460)
    write_image(out / "predictions.png", sheet)
    return Section(
        "Predict",
        f"{SHOWN} pictures that are no part of the training, read from files.",
        "pixelry predict tour/classify/NETWORK/model.safetensors tour/unseen --out predictions/\n\n"
        'import pixelry as px\nmodel = px.load_model("tour/classify/NETWORK/model.safetensors")\n'
        'result = model.predict("tour/unseen/image0.png")\nresult.label, result.scores, result.draw()'.replace(
            "NETWORK", model.card.network
        ),
        pictures=(Picture("What the model says", sheet),),
    )
