"""Python as people type it in a notebook: what objects show of themselves, and a notebook that is executed."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas
import pytest
import torch
from PIL import Image as PILImage

import pixelry as px
from pixelry import progress
from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.display import MAX_PAGE, MAX_SIDE, Sheet, card_html, downscaled, encoded
from pixelry.errors import ExistsError, PixelryError, UsageError
from pixelry.instances import Instances, encode
from rectangles import scenes

MAX_OUTPUT = 300_000


def image_of(bundle: dict[str, str]) -> PILImage.Image:
    """Return the image of a MIME bundle or of an HTML card."""
    (content,) = [value for kind, value in bundle.items() if kind.startswith("image/")]
    return PILImage.open(io.BytesIO(base64.b64decode(content)))


def images_in(html: str) -> list[PILImage.Image]:
    found = re.findall(r"data:image/\w+;base64,([^\"]+)", html)
    return [PILImage.open(io.BytesIO(base64.b64decode(content))) for content in found]


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """Files in class folders: 30 cats, 4 dogs."""
    generator = np.random.default_rng(0)
    for name, count in (("cat", 30), ("dog", 4)):
        for i in range(count):
            file = tmp_path / "animals" / name / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            PILImage.fromarray(generator.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(file)
    return tmp_path / "animals"


@pytest.fixture(scope="module")
def model(few_digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    return px.train(
        "classify", few_digits, network="logistic", steps=20, precision="32-true", memory_format="contiguous",
        progress=False, out=tmp_path_factory.mktemp("run") / "logistic",
    )  # fmt: skip


def test_a_data_set_of_files_is_a_line_and_a_card(animals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = px.load_dataset(animals)
    assert repr(data) == "Dataset(animals (folder): 34 train, 2 classes: cat, dog; labels)"
    assert repr(data["train"]) == "Split(34 images, label)"
    assert repr(data["train"].images) == "FileImages(34 images)"
    read, original = list[int](), FileImages.__getitem__
    monkeypatch.setattr(FileImages, "__getitem__", lambda images, i: read.append(i) or original(images, i))
    card = data._repr_html_()
    assert len(read) == 16  # those that are shown, and no more
    assert "cat (30), dog (4)" in card
    assert "30x20 pixels, color (of those shown)" in card
    assert len(images_in(card)) == 1
    assert len(card) < MAX_OUTPUT


def test_a_card_leaves_out_what_cannot_be_read(animals: Path) -> None:
    for file in (animals / "dog").iterdir():
        file.write_bytes(b"no image")
    data = px.load_dataset(animals)
    card = data._repr_html_()
    assert "not shown: " in card
    assert "dog" in card
    assert images_in(card)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (Dataset("none", {}), "none"),
        (Dataset("alone", {"train": Split(torch.zeros(3, 1, 5, 5, dtype=torch.uint8))}), "no labels"),
        (Dataset("empty", {"train": Split(torch.zeros(0, 1, 5, 5, dtype=torch.uint8))}), "0 train"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_data_without_labels_or_images_has_a_card(data: Dataset, text: str) -> None:
    card = data._repr_html_()
    assert text in card
    assert "classes" not in card
    assert data.name in repr(data)


def test_boxes_and_masks_are_drawn_on_the_card() -> None:
    data = Dataset("scenes", {"train": scenes(20, seed=0)}, ("red", "blue"))
    card = data._repr_html_()
    assert "boxes in train" in card
    assert images_in(card)
    assert len(card) < MAX_OUTPUT


def test_names_are_escaped() -> None:
    labels = {"label": torch.zeros(2, dtype=torch.int64)}
    data = Dataset("<b>", {"train": Split(torch.zeros(2, 1, 5, 5, dtype=torch.uint8), labels)}, ("<script>",))
    card = data._repr_html_()
    assert "<script>" not in card
    assert "&lt;script&gt;" in card
    assert "<b>" not in card


def test_a_sheet_shows_itself_and_is_saved(digits: Dataset, here: Path) -> None:
    sheet = digits.show(per_class="3")  # type: ignore[arg-type]
    assert isinstance(sheet, Sheet)
    assert "digits, train" in repr(sheet)
    bundle = sheet._repr_mimebundle_()
    assert max(image_of(bundle).size) <= MAX_PAGE
    sheet.save("sheet.png")
    np.testing.assert_array_equal(px.read_image("sheet.png"), np.asarray(sheet))
    with pytest.raises(ExistsError):
        sheet.save("sheet.png")
    with pytest.raises(UsageError, match="unknown split"):
        digits.show("tset")


def test_the_style_of_a_card_stays_in_the_card(digits: Dataset) -> None:
    card = digits._repr_html_()
    style = re.search(r"<style>(.*?)</style>", card, re.S)
    assert style
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", style[1]) for part in rule.split(",")]
    assert all(selector.startswith(".pixelry-card") for selector in selectors)


@pytest.mark.parametrize("shape", [(2000, 1000, 3), (1000, 2000), (1300, 10, 4), (10, 1300, 1), (5, 5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.bool_])
def test_images_are_shown_at_most_so_large(shape: tuple[int, ...], dtype: Any) -> None:
    image = np.ones(shape, dtype=dtype)
    shown = downscaled(image)
    assert shown.dtype == np.uint8
    assert max(shown.shape[:2]) == min(MAX_SIDE, max(shape[:2]))
    assert shown.ndim == 2 or shown.shape[2] == 3


def test_photographs_are_sent_as_jpeg_and_drawings_as_png() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert encoded(noise)[0] == "image/jpeg"
    flat = np.zeros((200, 200), dtype=np.uint8)
    kind, content = encoded(flat)
    assert kind == "image/png"
    np.testing.assert_array_equal(np.asarray(PILImage.open(io.BytesIO(base64.b64decode(content)))), flat)


def test_labels_show_themselves_and_their_table(model: px.Model, digits: Dataset) -> None:
    results = model.predict(digits["test"].images[:20])
    assert isinstance(results, px.Results)
    lines = repr(results).splitlines()
    assert lines[0] == "Results(20 Labels)"
    assert lines[-1] == "  ... 12 more"
    first = results[0]
    assert isinstance(first, px.Labels)
    assert set(first._repr_mimebundle_()) == {"text/plain", "image/png"}
    html = results._repr_html_()
    assert html.count("<tr>") == 17
    assert len(images_in(html)) == 16
    assert "4 more are not shown" in html
    table = results.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == ["name", "label", "score"]
    assert table["label"].tolist() == [result.label for result in results]  # type: ignore[union-attr]
    np.testing.assert_allclose(table["score"], [result.scores.max() for result in results])  # type: ignore[union-attr]
    part = results[2:5]
    assert isinstance(part, px.Results)
    assert [result.name for result in part] == ["#2", "#3", "#4"]


def some_results() -> list[Any]:
    image, box = (
        np.random.default_rng(0).integers(0, 256, (900, 700, 3), dtype=np.uint8),
        np.array([[10, 20, 300, 400.0]]),
    )
    masks, one = np.zeros((1, 900, 700), dtype=bool), np.zeros(1, dtype=np.int64)
    masks[0, 20:400, 10:300] = True
    ids = np.zeros((900, 700), dtype=np.uint8)
    ids[:300] = 1
    return [
        px.Boxes(box, np.ones(1), one, ("cat",), "a.png", image),
        Instances(box, np.ones(1), one, ("cat",), "a.png", image, encode(masks)),
        px.Segments(ids, ("road", "sky"), "a.png", image),
        px.Restored(image, "a.png", image),
        px.Restored(image.astype(np.float32) / 200, "a.png", image),
        px.Generated(image[:64, :64], 0, 3, "cat"),
        px.Generated(image, 0, 3, None, image, ids > 0),
    ]


@pytest.mark.parametrize("result", some_results(), ids=lambda result: type(result).__name__)
def test_every_result_shows_itself_small(result: Any) -> None:
    bundle = result._repr_mimebundle_()
    assert len(repr(result)) < 120
    assert bundle["text/plain"] == repr(result)
    assert max(len(value) for value in bundle.values()) < MAX_OUTPUT
    assert max(image_of(bundle).size) <= 2 * MAX_SIDE + MAX_SIDE // 4
    results = px.Results([result] * 30)
    assert len(results._repr_html_()) < MAX_OUTPUT
    rows = results.to_pandas()
    assert len(rows) == len(results.rows()) == 30 * len(result.rows())
    assert rows["name"].unique().tolist() == [result.name]


def test_rows_are_what_was_found() -> None:
    boxes, instances, segments, restored = some_results()[:4]
    assert boxes.rows() == [
        {"name": "a.png", "label": "cat", "score": 1.0, "left": 10.0, "top": 20.0, "right": 300.0, "bottom": 400.0}
    ]
    assert instances.rows()[0]["pixels"] == 380 * 290
    assert [(row["label"], row["pixels"]) for row in segments.rows()] == [("road", 600 * 700), ("sky", 300 * 700)]
    assert restored.rows() == [{"name": "a.png", "height": 900, "width": 700, "dtype": "uint8"}]


def test_results_of_vanished_files_and_none_at_all_are_shown(model: px.Model, animals: Path) -> None:
    results = model.predict(animals / "dog")
    for file in (animals / "dog").iterdir():
        file.unlink()
    html = results._repr_html_()
    assert "0.png" in html
    assert not images_in(html)
    assert set(results[0]._repr_mimebundle_()) == {"text/plain"}
    empty = px.Results(failed=[("b.png", "b.png is broken")])
    assert repr(empty) == "Results(empty, 1 skipped)"
    assert "skipped: b.png is broken" in empty._repr_html_()
    assert len(empty.to_pandas()) == 0


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PixelryError, match=r"pip install 'pixelry\[pandas\]'"):
        px.Results().to_pandas()


def test_what_a_check_found_has_a_card(animals: Path) -> None:
    (animals / "dog" / "copy.png").write_bytes((animals / "cat" / "0.png").read_bytes())
    report = px.check_dataset(px.load_dataset(animals), label_noise=False)
    card = report._repr_html_()
    assert "labelled differently" in card
    assert "copy.png" in card
    assert len(repr(report)) < 1000 + sum(len(str(finding)) for finding in report.findings)
    assert "array(" not in repr(report)
    assert len(card) < MAX_OUTPUT


def test_a_model_has_a_card(model: px.Model) -> None:
    card = model._repr_html_()
    assert "logistic (classify)" in card
    assert "few-digits" in card
    assert f"{model.parameters:,}" in card
    assert "model.safetensors" in card


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 1), (4, 8, 8, 3), (4, 3, 8, 8), (4, 1, 8, 8)])
def test_arrays_of_many_images_in_any_order_of_axes(model: px.Model, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert len(model.predict(pixels)) == 4
    assert len(model.predict(pixels / 255.0)) == 4
    several = model.predict(
        [PILImage.new("L", (8, 8)), PILImage.new("RGB", (9, 7)), np.zeros((8, 8)), torch.zeros(1, 8, 8)]
    )
    assert [result.name for result in several] == ["#0", "#1", "#2", "#3"]


def test_images_come_in_many_forms(model: px.Model, digits: Dataset, animals: Path) -> None:
    split = digits["test"].subset(range(5))
    expected = [result.label for result in model.predict(split.images)]
    assert [result.label for result in model.predict(split)] == expected
    assert [result.label for result in model.predict(split.images[i] for i in range(5))] == expected
    assert [result.label for result in px.predict(model, (image for image in split.images.numpy()))] == expected
    with (animals / "cat" / "0.png").open("rb") as file:
        one = model.predict(file)
    assert isinstance(one, px.Labels)
    np.testing.assert_array_equal(one.scores, model.predict(animals / "cat" / "0.png").scores)
    files = px.load_dataset(animals)["train"]
    assert [result.name for result in model.predict(files)] == [files.name(i) for i in range(34)]
    with pytest.raises(UsageError, match=r"got Dataset; give one of its splits, such as data\['test'\]"):
        model.predict(digits)


def test_lists_of_images_are_data(animals: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.integers(0, 256, (9, 7 + i % 2, 3), dtype=np.uint8) for i in range(6)]
    labels = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    data = px.load_dataset((arrays, labels))
    assert data.classes == ("0", "1")
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(data["train"].images[i].permute(1, 2, 0), array)
    same = px.load_dataset([np.stack(arrays[::2]), np.array(labels[::2]).astype(bool)])
    assert isinstance(same["train"].images, torch.Tensor)
    assert same["train"].labels.tolist() == [0, 0, 0]
    pictures = [PILImage.fromarray(arrays[0]), torch.zeros(1, 4, 5), PILImage.fromarray(arrays[1]).convert("P")]
    mixed = px.load_dataset((pictures, ["a", "b", "a"]))
    assert [tuple(image.shape) for image in mixed["train"].images] == [(3, 9, 7), (3, 4, 5), (3, 9, 8)]
    files = sorted(animals.rglob("*.png"))
    named = px.load_dataset((files, [file.parent.name for file in files]))
    assert isinstance(named["train"].images, FileImages)
    assert named.classes == ("cat", "dog")
    assert len(named["train"].digest()) == 32


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (["a.png"], [0], "there is no file a.png"),
        ([np.zeros((4, 4)), 5], [0, 1], "image 1: expected a path, a PIL image, an array or a tensor; got int"),
        (np.zeros((2, 4, 4)), np.eye(2, dtype=int), r"one-hot rows give labels.argmax\(1\)"),
        (np.zeros((2, 4, 4)), [0.5, 1.0], "labels are integers or strings"),
        (np.zeros((2, 4, 4), dtype=np.int64), [0, 1], r"use images.astype\('uint8'\)"),
    ],
)
def test_what_is_no_data_is_refused_in_words(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(px.DataError, match=message):
        px.load_dataset((images, labels))


class Handle:
    """Stands for what IPython's `display` returns."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def __call__(self, data: dict[str, str], **kwargs: Any) -> Handle:
        self.shown.append(data)
        return self

    update = __call__


def test_messages_and_bars_share_one_output_that_keeps_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.progress import BarColumn, SpinnerColumn, TextColumn

    handle = Handle()
    monkeypatch.setattr("IPython.display.display", handle)
    monkeypatch.setattr(progress, "UPDATE_SECONDS", 0.0)
    console = progress.NotebookConsole()
    console.print("data: <b> [bold]x[/bold]")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]} left"))
    with progress.live_progress(*columns, console=console) as bar:
        task = bar.add_task("training", total=4.0, left="1:00")
        bar.update(task, completed=1.0, left="0:45")
        bar.advance(task)
        assert re.search(
            r'training .*<progress .*value="2" max="4"></progress>.*0:45 left', handle.shown[-1]["text/html"]
        )
    console.print("done")
    assert handle.shown[-1]["text/plain"] == "data: <b> [bold]x[/bold]\ndone"
    assert "<progress" not in handle.shown[-1]["text/html"]
    assert "&lt;b&gt;" in handle.shown[-1]["text/html"]


def test_a_terminal_is_no_notebook() -> None:
    assert not progress.in_notebook()
    assert not isinstance(progress.new_console(), progress.NotebookConsole)
    assert progress.new_console().stderr


def test_cards_take_numbers_images_and_text() -> None:
    card = card_html("t", columns=("a", "b"), rows=[(1, np.zeros((4, 4), np.uint8)), (2, "x")], facts={"left out": ""})
    assert card.count('class="pxc-number"') == 3
    assert "left out" not in card
    assert len(images_in(card)) == 1


NOTEBOOK = [
    "import pixelry as px\ndata = px.load_dataset('digits')\ndata",
    "data.show(per_class=4)",
    "model = px.train('classify', data, network='logistic', steps='300', settings='lr=0.1', precision='32-true', "
    "memory_format='contiguous')\nmodel",
    "report = model.evaluate(data)\nreport",
    "results = model.predict(data['test'].images[:20].numpy())\nresults",
    "results[0]",
    "results.to_pandas()",
    "_ = px.train('classify', data, network='logistic', steps=2, precision='32-true', memory_format='contiguous', "
    "progress=False)",
]


def test_a_notebook_is_executed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    source = str(Path(px.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in NOTEBOOK])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(here)}}).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    assert not [output for cell in outputs for output in cell if output.output_type in ("stream", "error")]
    kinds = [[set(output.data) for output in cell] for cell in outputs]
    html, picture = {"text/plain", "text/html"}, {"text/plain", "image/png"}
    assert kinds == [[html], [picture], [html, html], [html], [html], [picture], [html], []]
    for cell in outputs:
        for output in cell:
            assert len(output.data["text/plain"]) < 3_000
            assert max(map(len, output.data.values())) < MAX_OUTPUT
    messages = outputs[2][0].data
    assert "model: runs/classify-logistic/model.safetensors" in messages["text/plain"]
    assert "<progress" not in messages["text/html"]
    report = outputs[3][0].data["text/html"]
    assert "<body" not in report
    style = "".join(re.findall(r"<style>(.*?)</style>", report, re.S))
    rules = re.sub(r"/\*.*?\*/|@(media|supports)[^{]*\{", "", style, flags=re.S)
    assert all(".pixelry-report" in part for rule in re.findall(r"([^{}]+)\{", rules) for part in rule.split(","))
