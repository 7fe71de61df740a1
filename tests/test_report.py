"""Reports: blocks, the page, the registry of metrics."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

import pixelry as px
from pixelry.api_report import report
from pixelry.draw import confusion_figure, curves_figure
from pixelry.errors import ModelError, UsageError
from pixelry.reports.curves import TrainingLog, smoothed, training_curves
from pixelry.reports.findings import (
    BeforeAfter,
    Block,
    Gallery,
    Interactive,
    Link,
    Picture,
    Table,
    Tabs,
    ThresholdChooser,
)
from pixelry.reports.metrics import METRICS, find_metric, format_metric
from pixelry.reports.page import Section, render_fragment, render_page
from pixelry.reports.svg import to_svg
from pixelry.reports.threshold import threshold_data

VOID = {"meta", "img", "input", "path", "use", "rect", "circle", "polyline", "image", "br", "hr", "line"}
PIXELS = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)


class Balance(HTMLParser):
    """Checks that elements are closed in the order in which they were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def chooser() -> ThresholdChooser:
    generator = np.random.default_rng(0)
    positive = generator.random(300) < 0.3
    scores = np.clip(0.3 + 0.3 * positive + generator.normal(0, 0.2, 300), 0, 1)
    return ThresholdChooser("Threshold", scores, positive, "Drag.", "ill", "healthy")


def blocks() -> tuple[Block, ...]:
    curve = curves_figure({"cnn": ([1, 2, 3], [0.5, 0.8, 0.9])}, xlabel="seconds", ylabel="accuracy")
    return (
        Picture("A figure", curve, "Of a <network>."),
        Picture("Pixels", PIXELS),
        Gallery("Mistakes", ((PIXELS, "a name that is long.png\ntrue a & b"),), "Worst first."),
        BeforeAfter("Restored", PIXELS, PIXELS, "Noise.", ("noisy", "restored"), PIXELS, scale=24),
        chooser(),
        Tabs("Curves", (("seconds", (Picture("accuracy", curve),)), ("passes", (Picture("loss", curve),)))),
        Interactive("Mine", "<b>mine</b>"),
    )


def sections() -> list[Section]:
    rows = (("cnn", 0.5, Link("report", "cnn/index.html")), ("x" * 80, 3, "<b>"))
    return [
        Section("What it is", "One.\n\nTwo.", "pixelry train", (Table("Rows", ("a", "b", "c"), rows, "Note."),)),
        Section("Seen", pictures=blocks(), warnings=("4 steps are too few.",)),
        Section("Empty"),
    ]


@pytest.mark.parametrize("render", [render_page, render_fragment])
def test_a_page_has_every_block_and_loads_nothing(render: object) -> None:
    text = render("Title & more", sections())  # type: ignore[operator]
    balance = Balance()
    balance.feed(text)
    assert not balance.open
    assert "<h2>Seen</h2>" in text
    assert "<h2>Empty</h2>" not in text
    for block in blocks():
        assert f"<h3>{block.title}</h3>" in text
    for escaped in ("Title &amp; more", "Of a &lt;network&gt;.", "true a &amp; b", "&lt;b&gt;", "<b>mine</b>"):
        assert escaped in text
    assert "4 steps are too few." in text
    assert '<a href="cnn/index.html">report</a>' in text
    assert not re.search(r'src="(?!data:)|@import|url\((?!#)|https?://(?!www\.w3\.org)', text)


def test_contents_lead_to_the_parts_of_the_page() -> None:
    text = render_page("Title", sections())
    targets = set(re.findall(r'<a href="#([^"]+)"', text))
    anchors = re.findall(r' id="([^"]+)"', text)
    assert {"what-it-is", "seen", "seen--restored"} <= targets
    assert targets <= set(anchors)


def test_style_holds_for_reports_alone() -> None:
    css = files("pixelry").joinpath("templates/report.css").read_text()
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    rules = [rule for rule in re.findall(r"([^{}]+)\{", css) if not rule.strip().startswith("@")]
    assert len(rules) > 50
    for rule in rules:
        for selector in re.split(r",(?![^(]*\))", rule):
            assert ".pixelry-report" in selector, selector
    page = render_fragment("Title", sections())
    assert "<body" not in page
    assert page.count("<style") == 1  # none within figures


def test_figures_take_the_page_s_colors() -> None:
    svg = to_svg(confusion_figure(np.array([[9, 1], [2, 5]]), ("cat", "dog")))
    assert svg is not None
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    assert "currentColor" in svg
    assert "#000000" not in svg
    assert "<style" not in svg
    assert ">cat</text>" in svg
    assert svg == to_svg(confusion_figure(np.array([[9, 1], [2, 5]]), ("cat", "dog")))


def test_a_heavy_figure_becomes_pixels() -> None:
    generator = np.random.default_rng(0)
    points = generator.random((2, 40_000))
    figure = curves_figure({"many": (points[0], points[1])}, xlabel="x", ylabel="y")
    assert to_svg(figure) is None
    assert '<img class="px-figure-image"' in render_page("T", [Section("S", pictures=(Picture("P", figure),))])


def test_thresholds_agree_with_scikit_learn() -> None:
    given = chooser()
    data = threshold_data(given)
    counts = json.loads(data["json"])
    for step in (20, 100, 140):
        predicted = given.scores >= step / 200
        tn, fp, fn, tp = confusion_matrix(given.positive, predicted).ravel()
        assert (counts["true"][step], counts["false"][step]) == (tp, fp)
        assert counts["positives"] - counts["true"][step] == fn
        assert counts["negatives"] - counts["false"][step] == tn
    [(_, rates, _, _)] = [row for row in data["rows"] if row[0] == "0.5"]
    assert rates["precision"] == pytest.approx(precision_score(given.positive, given.scores >= 0.5))
    assert rates["recall"] == pytest.approx(recall_score(given.positive, given.scores >= 0.5))


def test_blocks_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        BeforeAfter("x", PIXELS, PIXELS[1:])
    with pytest.raises(ValueError, match=r"scores in \[0, 1\]"):
        ThresholdChooser("x", np.array([0.5, 1.5]), np.array([True, False]))
    with pytest.raises(ValueError, match="one length"):
        ThresholdChooser("x", np.array([0.5]), np.array([True, False]))


def test_metrics_are_explained() -> None:
    for metric in METRICS.values():
        assert metric.explanation.endswith(".")
        assert metric.title
    mask = find_metric("mask_map50")
    assert mask is not None
    assert mask.title == "mean average precision at IoU 0.5, masks"
    low = find_metric("nll_nats_low", "generate")
    assert low is not None
    assert low.unit == "nats"
    assert find_metric("no_such_metric") is None
    assert format_metric("psnr_bicubic", 28.913) == "28.91 dB"
    assert format_metric("mean_iou", 0.5) == "0.5000"


def log(count: int) -> TrainingLog:
    rows = []
    for step in range(1, count + 1):
        row = {"step": 10.0 * step, "seconds": 0.5 * step, "lr": 0.1, "loss": 1 / step}
        scores = {
            "val_accuracy": 0.8,
            "val_accuracy_low": 0.7,
            "val_accuracy_high": 0.9,
            "val_ece": 0.1,
            "val_images": 9.0,
        }
        rows.append(row | (scores if step % 2 else {}))
    return TrainingLog(rows, passes_per_step=0.2)


def test_curves_show_every_validation_metric_over_seconds_and_passes() -> None:
    [block] = training_curves({"cnn": log(20)}, task="classify", monitor="ece")
    assert [label for label, _ in block.tabs] == ["over seconds", "over passes"]
    titles = [picture.title for picture in block.tabs[0][1]]
    assert titles == ["Expected calibration error", "Accuracy", "Training loss", "Learning rate"]
    accuracy = block.tabs[1][1][1]
    assert "accuracy: Share of images" in accuracy.note
    [line] = accuracy.content.axes[0].lines
    assert line.get_xdata()[:2].tolist() == [2.0, 6.0]
    assert training_curves({"cnn": TrainingLog([])}, task="classify", monitor="accuracy") == ()


def test_the_smoothed_loss_is_a_weighted_mean_of_the_past() -> None:
    values = [4.0, 1.0, 3.0, 0.5]
    frame = pandas_like_ewm(values, 0.8)
    assert smoothed(values) == pytest.approx(frame)
    [block] = training_curves({"cnn": log(20), "mlp": log(10)}, task="classify", monitor="accuracy")
    [loss] = [picture for picture in block.tabs[0][1] if picture.title == "Training loss"]
    assert [line.get_label() for line in loss.content.axes[0].lines][1::2] == ["cnn", "mlp"]


def pandas_like_ewm(values: list[float], past: float) -> list[float]:
    """The definition, term by term: weights past^k of the value k steps ago, normalized."""
    means = []
    for end in range(1, len(values) + 1):
        weights = past ** np.arange(end)[::-1]
        means.append(float(np.average(values[:end], weights=weights)))
    return means


def test_the_page_of_a_run_is_made_again_from_its_folder(few_digits: px.Dataset, here: Path) -> None:
    run = here / "run"
    px.train("classify", few_digits, network="logistic", epochs=3, out=run, progress=False, precision="32-true")
    first = (run / "index.html").read_text()
    with pytest.raises(UsageError, match="trained on data in memory: pass the same data again, or leave"):
        report(run)
    assert report(run, data=few_digits) == run / "index.html"
    again = (run / "index.html").read_text()
    assert re.sub(r"px-tabs-\d+", "", again) == re.sub(r"px-tabs-\d+", "", first)
    report(run, evaluate=False)
    bare = (run / "index.html").read_text()
    assert "Made without the data" in bare
    assert "<h3>Curves</h3>" in bare
    assert "<h3>Confusion</h3>" not in bare
    with pytest.raises(UsageError, match="is not the data that the run"):
        report(run, data="digits")
    with pytest.raises(UsageError, match="holds neither a run"):
        report(here)
    with pytest.raises(UsageError, match="there is no folder"):
        report(here / "nowhere")
    (run / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="did not finish"):
        report(run, data=few_digits)


def test_the_page_of_a_comparison_is_made_again_where_it_was_moved(few_digits: px.Dataset, here: Path) -> None:
    px.compare(
        "classify", few_digits, networks=["logistic", "logistic:lr=0.01"], epochs=2, out=here / "c", progress=False
    )
    first = (here / "c" / "index.html").read_text()
    assert 'href="logistic-lr-0.01/index.html"' in first
    (here / "c").rename(here / "moved")
    page = report(here / "moved")
    assert re.sub(r"px-tabs-\d+", "", page.read_text()) == re.sub(r"px-tabs-\d+", "", first)
    (here / "moved" / "comparison.json").write_text("{}")
    with pytest.raises(UsageError, match="is no comparison of this version"):
        report(here / "moved")


def test_warnings_of_a_run_stand_in_its_report(few_digits: px.Dataset, here: Path) -> None:
    model = px.train(
        "classify", few_digits, network="cnn", steps=2, out=here / "run", progress=False, precision="32-true"
    )
    [warning] = model.card.training["warnings"]
    assert "2 steps" in warning
    page = (here / "run" / "index.html").read_text()
    assert f'<p class="px-warning">{warning[0].upper()}{warning[1:]}' in page.replace("&#34;", '"').replace(
        "&#39;", "'"
    )
