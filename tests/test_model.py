"""The model file and prediction: every kind of input, and files that are broken, foreign or hostile."""

from __future__ import annotations

import io
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from safetensors import safe_open
from safetensors.torch import save_file

import pixelry as px
from pixelry.errors import ExistsError, ImageError, ModelError, PixelryError, UsageError
from pixelry.pixels import encode_image, write_image
from pixelry.types import Labels, Results


@pytest.fixture(scope="module")
def model(few_digits: px.Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    folder = tmp_path_factory.mktemp("model") / "run"
    return px.train("classify", few_digits, network="cnn", epochs=10, out=folder, progress=False)


@pytest.fixture
def picture(few_digits: px.Dataset) -> np.ndarray:
    array: np.ndarray = few_digits["test"].images[0][0].numpy()
    return array


def test_the_card_says_everything(model: px.Model) -> None:
    assert model.path is not None
    with safe_open(model.path, framework="pt") as file:
        card = json.loads(file.metadata()["pixelry"])
    assert card["task"] == "classify"
    assert card["network"] == "cnn"
    assert card["classes"] == list("0123456789")
    assert (card["channels"], card["size"]) == (1, [8, 8])
    # Nobody set it: a later version's default may be another, and the file is to be read all the same.
    assert card["network_options"] == {"width": 16}
    assert card["metrics"]["accuracy"] == model.card.metrics["accuracy"]
    assert len(card["data"]["fingerprint"]) == 32
    assert card["training"]["seed"] == 0
    assert card["versions"]["torch"] == torch.__version__


def test_a_loaded_model_answers_as_the_trained_one(model: px.Model, few_digits: px.Dataset, here: Path) -> None:
    model.save(here / "copy.safetensors")
    loaded = px.load_model(here / "copy.safetensors")
    images = few_digits["test"].images
    for one, other in zip(model.predict(images), px.predict(loaded, images), strict=True):
        assert np.array_equal(one.scores, other.scores)
    assert loaded.evaluate(few_digits).metrics == model.evaluate(few_digits).metrics


def test_every_kind_of_input_gives_one_answer(model: px.Model, picture: np.ndarray, here: Path) -> None:
    write_image(here / "a.png", picture)
    buffer = io.BytesIO(encode_image(picture, format="PNG"))
    kinds: list[Any] = [
        here / "a.png",
        str(here / "a.png"),
        buffer.getvalue(),
        PILImage.fromarray(picture),
        picture,
        picture[..., None],
        np.stack([picture] * 3, -1),
        picture / 255,
        picture.astype(np.uint16) * 257,
        torch.from_numpy(picture),
        torch.from_numpy(picture)[None],
        torch.from_numpy(picture)[None].float() / 255,
    ]
    results = [model.predict(kind) for kind in kinds]
    assert all(isinstance(result, Labels) for result in results)
    for result in results:
        assert isinstance(result, Labels)
        np.testing.assert_allclose(result.scores, results[0].scores, atol=1e-4)  # type: ignore[union-attr]


def test_many_inputs_keep_their_order(model: px.Model, few_digits: px.Dataset, here: Path) -> None:
    images = few_digits["test"].images
    (here / "folder").mkdir()
    for i in (2, 10, 1):
        write_image(here / "folder" / f"img{i}.png", images[i][0].numpy())
    results = model.predict([here / "folder", images[5][0].numpy(), str(here / "folder" / "img1*.png")], batch=2)
    assert isinstance(results, Results)
    names = [Path(result.name).name for result in results]
    assert names == ["img1.png", "img2.png", "img10.png", "#3", "img1.png", "img10.png"]
    together = model.predict(torch.stack([images[i] for i in (1, 2, 10, 5, 1, 10)]))
    for one, other in zip(results, together, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_a_bad_image_is_named_or_skipped_if_asked(model: px.Model, picture: np.ndarray, here: Path) -> None:
    write_image(here / "good.png", picture)
    (here / "text.png").write_text("hello")
    (here / "empty.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"empty.png is empty|text.png is text"):
        model.predict(here)
    results = model.predict(here, skip_errors=True)
    assert isinstance(results, Results)
    assert len(results) == 1
    assert sorted(Path(name).name for name, _ in results.failed) == ["empty.png", "text.png"]


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([], UsageError, "no images were given"),
        (3, UsageError, "predict takes paths, .* got int"),
        ("nowhere.png", ImageError, "there is no file nowhere.png"),
        ("*.png", UsageError, "no image files in"),
        (np.zeros((4, 4)) + 7, ImageError, "float values go from 7 to 7"),
        (np.full((4, 4), np.nan), ImageError, "NaN"),
        (np.zeros((4, 4, 9), np.uint8)[None, None], ImageError, r"images are \(H, W\)"),
    ],
)
def test_bad_inputs_are_named(model: px.Model, inputs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model.predict(inputs)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (64, 64)])
def test_any_size_is_predicted(model: px.Model, shape: tuple[int, int]) -> None:
    result = model.predict(np.zeros(shape, np.uint8))
    assert isinstance(result, Labels)
    assert result.scores.sum() == pytest.approx(1, abs=1e-5)


def test_results_draw_save_and_count(model: px.Model, picture: np.ndarray, here: Path) -> None:
    result = model.predict(picture)
    assert isinstance(result, Labels)
    assert result.draw().ndim == 3
    result.save(here / "result.png")
    result.save(here / "result.json")
    saved = json.loads((here / "result.json").read_text())
    assert saved["label"] == result.label
    assert saved["top"][0]["score"] == pytest.approx(result.score, abs=1e-6)
    with pytest.raises(ExistsError, match=r"result.json exists"):
        result.save(here / "result.json")
    with pytest.raises(UsageError, match=r"scores have shape \(2,\); expected \(3,\)"):
        Labels(np.zeros(2, np.float32), ("a", "b", "c"), "x", picture)


def test_the_sheet_of_a_folder_of_results_is_none_of_its_pictures(model: px.Model, here: Path) -> None:
    write_image(here / "mine" / "sheet.png", np.zeros((8, 8), np.uint8))  # as a user may call a picture
    assert len(model.predict(here / "mine")) == 1
    for name in ("0.png", "1.png", "sheet.png"):
        write_image(here / "made" / name, np.zeros((8, 8), np.uint8))
    (here / "made" / "images.jsonl").write_text('{"file": "0.png"}\n')  # as `generate` leaves it
    assert [found.name for found in model.predict(here / "made")] == [f"{here}/made/0.png", f"{here}/made/1.png"]


def test_saving_never_overwrites_unasked(model: px.Model, here: Path) -> None:
    model.save(here / "m.safetensors")
    with pytest.raises(ExistsError, match=r"m.safetensors exists"):
        model.save(here / "m.safetensors")
    model.save(here / "m.safetensors", overwrite=True)
    with pytest.raises(UsageError, match=r"ends in .safetensors"):
        model.save(here / "m.pt")
    (here / "file").write_text("")
    with pytest.raises(PixelryError, match="cannot be written to"):
        model.save(here / "file" / "m.safetensors")


def whole(model: px.Model) -> bytes:
    assert model.path is not None
    return model.path.read_bytes()


def header_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_card(model: px.Model, **changes: Any) -> bytes:
    header, rest = header_of(whole(model))
    card = {**json.loads(header["__metadata__"]["pixelry"]), **changes}
    header["__metadata__"]["pixelry"] = json.dumps(card)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


@pytest.mark.parametrize("part", [0, 4, 100, 5000, -1])
def test_truncated_files(model: px.Model, part: int, here: Path) -> None:
    (here / "m.safetensors").write_bytes(whole(model)[:part])
    with pytest.raises(ModelError, match=r"m.safetensors is no whole safetensors file|is empty"):
        px.load_model(here / "m.safetensors")


def test_pickles_are_never_read(here: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            import os

            return os.mkdir, (str(here / "trap"),)

    (here / "m.safetensors").write_bytes(pickle.dumps(Hostile()))
    torch.save({"a": torch.zeros(1)}, here / "torch.safetensors")
    for name in ("m.safetensors", "torch.safetensors"):
        with pytest.raises(ModelError, match="no whole safetensors file"):
            px.load_model(here / name)
    assert not (here / "trap").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "written by a newer Pixelry"),
        ({"network": "unheard"}, "cannot be built: unknown network 'unheard'"),
        ({"task": "unheard"}, "unknown task 'unheard'"),
        (
            {"network": "resnet18", "network_options": {}},
            r"body\.\S+ is nothing in the file|in the network of its card",
        ),
        ({"classes": ["a", "b"]}, r"head\.\S+ is .* in the file"),
        ({"size": [0, 8]}, r"the input is 1 channels of \(0, 8\)"),
        ({"channels": 7}, "expected 1 or 3"),
        ({"classes": [1, 2]}, "class names must be strings"),
        ({"network_options": {"width": 10**9}}, "cannot be built|in the file"),
        ({"network_options": {"breadth": 1}}, "cannot be built: .*breadth"),
        ({"surprise": 1}, "the card cannot be understood"),
    ],
)
def test_cards_that_do_not_fit(model: px.Model, changes: dict[str, Any], message: str, here: Path) -> None:
    (here / "m.safetensors").write_bytes(with_card(model, **changes))
    with pytest.raises(ModelError, match=message):
        px.load_model(here / "m.safetensors")


def test_foreign_files(here: Path) -> None:
    save_file({"a": torch.zeros(1)}, here / "foreign.safetensors")
    with pytest.raises(ModelError, match=r"not of Pixelry: it has no card.*--weights"):
        px.load_model(here / "foreign.safetensors")
    with pytest.raises(ModelError, match="nowhere"):
        px.load_model(here / "nowhere.safetensors")
    with pytest.raises(ModelError, match=r"model.safetensors"):
        px.load_model(here)


def test_evaluation_wants_the_models_classes(model: px.Model, squares: px.Dataset) -> None:
    with pytest.raises(ModelError, match=r"squares has the classes left, right \(2\), the model has 0, 1"):
        model.evaluate(squares)
