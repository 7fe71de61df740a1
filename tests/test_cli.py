"""The command line: every verb end to end, and what a user's mistake looks like."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelry.pixels import read_image, write_image


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: two classes of photograph-like files of several sizes, JPEG and PNG."""
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(40):
        name = ("day", "night")[number % 2]
        folder = root / name
        folder.mkdir(exist_ok=True)
        light = 170 if name == "day" else 40
        base = np.linspace(-30, 30, 40 + number)[:, None, None] + random.normal(light, 20, (40 + number, 60, 3))
        suffix = "jpg" if number % 3 else "png"
        write_image(folder / f"{number}.{suffix}", base.clip(0, 255).astype(np.uint8))
    return root


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import pixelry as px

    out = tmp_path_factory.mktemp("trained") / "run"
    px.train("classify", photos, network="cnn", epochs=12, size=(16, 16), out=out, progress=False)
    return out


def test_help_and_import_are_quick_and_load_no_torch() -> None:
    code = "import sys; import pixelry; assert not {'torch', 'numpy', 'lightning'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    help_code = (
        "import sys; sys.argv = ['pixelry', '--help']\n"
        "from pixelry.cli import main\n"
        "try: main()\n"
        "except SystemExit: assert not {'torch', 'numpy', 'lightning'} & set(sys.modules), 'heavy'"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", help_code], check=True, capture_output=True, text=True)
    # The bar is 0.3 s, measured in benchmarks/; ten times that tells a slip on any machine.
    assert time.perf_counter() - start < 3
    for verb in ("train", "compare", "evaluate", "predict", "networks", "tour", "data", "pixels"):
        assert re.search(rf"^  {verb} ", done.stdout, re.M)


def test_every_option_has_help(run: Any) -> None:
    for words in (["train"], ["compare"], ["evaluate"], ["predict"], ["data", "show"], ["pixels", "resize"]):
        lines = run(*words, "--help").out.splitlines()
        flags = [line for line in lines if re.match(r"  --\w", line)]
        assert flags
        assert all(re.search(r"--[\w-]+.*  \S|<\w+>$|--\S+$", line) for line in flags)


def test_train_evaluate_predict_on_a_folder(run: Any, photos: Path, here: Path) -> None:
    said = run("train", "classify", "--data", photos, "--network", "cnn", "--epochs", 60, "--size", 16,
               "--out", "a", "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["network"] == "cnn"
    assert "images set aside" in said.err
    said = run("evaluate", "a/model.safetensors", "--data", photos, "--json")
    assert said.json["split"] == "val"
    assert said.json["metrics"]["accuracy"] >= 0.75
    said = run("predict", "a", photos / "day" / "0.png", photos / "night", photos / "*" / "1*.jpg", "--out", "p")
    assert said.code == 0, said.err
    assert said.out.count("\n") == 1 + 20 + len(list(photos.glob("*/1*.jpg")))
    assert {path.name for path in (here / "p").iterdir()} == {"predictions.csv", "predictions.jsonl", "sheet.png"}


def test_json_is_one_object_and_nothing_else(run: Any, trained: Path, photos: Path) -> None:
    for words in (
        ["evaluate", trained, "--data", photos, "--json"],
        ["predict", trained, photos / "day" / "0.png", "--json"],
        ["networks", "--json"],
        ["networks", "classify", "--json"],
        ["data", "list", "--json"],
        ["data", "show", photos, "--json"],
    ):
        assert isinstance(run(*words).json, dict)
    assert run("networks", "classify", "--json").json["recommended"] in {
        row["name"] for row in run("networks", "classify", "--json").json["networks"]
    }


def test_compare_prints_a_table_and_writes_a_page(run: Any, photos: Path, here: Path) -> None:
    said = run("compare", "classify", "--data", photos, "--networks", "logistic,cnn", "--epochs", 2, "--size", 16,
               "--out", "c")  # fmt: skip
    assert said.code == 0, said.err
    assert said.out.splitlines()[0].split()[:2] == ["network", "accuracy"]
    assert {"index.html", "comparison.json", "logistic", "cnn"} == {path.name for path in (here / "c").iterdir()}
    page = (here / "c" / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<svg" in page  # figures are drawn by the page itself, and nothing is loaded


def test_data_given_twice_is_train_and_test(run: Any, photos: Path) -> None:
    said = run("train", "classify", "--data", photos, "--data", photos, "--network", "logistic", "--steps", 1,
               "--size", 8)  # fmt: skip
    assert said.code == 0
    assert "40 test" in said.err
    assert run("train", "classify", "--data", "a", "--data", "b", "--data", "c").code == 2


def test_data_show_draws_a_sheet(run: Any, here: Path) -> None:
    said = run("data", "show", "digits", "--out", "sheet.png")
    assert said.code == 0
    assert "1,442 train" in said.out
    assert read_image(here / "sheet.png").shape[2] == 3
    assert run("data", "show", "digits", "--out", "sheet.png").code == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("train classify --data digits --network resnt18", 2, "unknown network 'resnt18'; did you mean 'resnet18'"),
        ("train classify --data digits --set lr", 2, "--set takes key=value"),
        ("train classify --data digits --set batsch=3", 2, "did you mean 'batch'"),
        ("train classify --data digits --minutes -1", 2, "minutes is -1"),
        ("train classify --data digits --epochs 1 --steps 1", 2, "one budget"),
        ("train classify --data digits --size 3y", 2, "a size is one number or HEIGHTxWIDTH"),
        ("train classify --data digits --freeze head", 2, "freeze is 'head'; expected 'backbone'"),
        ("train classify --data digits --channels 2", 2, "1 .grey. or 3 .colour."),
        ("train classify --data nowhere", 1, "no file, folder or data set called 'nowhere'"),
        ("train classify --data digits --out /proc/nope", 1, "cannot write to /proc/nope"),
        ("train classify --data one --network cnn", 1, "one class, 'only'"),
        ("train classify --data empty", 1, "no format that is recognised"),
        ("train", 2, "train needs a task and data"),
        ("train paint --data digits", 2, "unknown task 'paint'"),
        ("compare classify --data digits --networks cnn,resnt --steps 1", 2, "unknown network 'resnt'"),
        ("evaluate nowhere --data digits", 1, "nowhere"),
        ("predict {trained} nothing.png", 1, "there is no file nothing.png"),
        ("predict {trained} text.png", 1, "text.png is text"),
        ("predict {trained} zero.png", 1, "zero.png is empty"),
        ("evaluate {trained} --data digits --split exam", 2, "unknown split"),
        ("pixels resize text.png --out o", 2, "shape"),
        ("pixels resize nothing.png --shape 4 --out o", 1, "nothing.png"),
        ("nonsense", 2, "No such command"),
    ],
)
def test_mistakes_are_one_or_two_sentences(
    run: Any, words: str, code: int, message: str, trained: Path, here: Path
) -> None:
    (here / "text.png").write_text("I am a text")
    (here / "zero.png").write_bytes(b"")
    (here / "empty").mkdir()
    (here / "one" / "only").mkdir(parents=True)
    for number in range(20):
        write_image(here / "one" / "only" / f"{number}.png", np.full((4, 4), number, np.uint8))
    said = run(*words.format(trained=trained).split())
    assert said.code == code, said.err
    assert re.search(message, said.err), said.err
    assert len(said.err.strip().splitlines()) <= 18


def test_a_decompression_bomb_is_refused_and_the_limit_can_be_raised(
    run: Any, trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(here / "large.png", np.zeros((40, 50), np.uint8))
    monkeypatch.setenv("PIXELRY_MAX_PIXELS", "1000")
    said = run("predict", trained, "large.png")
    assert said.code == 1
    assert "2,000 pixels" in said.err or "over the limit" in said.err
    monkeypatch.setenv("PIXELRY_MAX_PIXELS", "3000")
    assert run("predict", trained, "large.png").code == 0


def test_skipped_images_are_named_and_the_exit_code_says_so(run: Any, trained: Path, photos: Path, here: Path) -> None:
    (here / "bad.png").write_text("text")
    said = run("predict", trained, photos / "day" / "0.png", "bad.png", "--skip-errors", "--out", "p")
    assert said.code == 1
    assert "skipped: bad.png is text" in said.err
    assert "bad.png" in (here / "p" / "failed.csv").read_text()


def test_pixels_over_many_files(run: Any, photos: Path, here: Path) -> None:
    said = run("pixels", "resize", photos, "--shape", "12x16", "--out", "small", "--json")
    assert said.code == 0, said.err
    assert len(said.json["written"]) == 40
    assert read_image(here / "small" / "day" / "0.png").shape == (12, 16, 3)
    said = run("pixels", "resize", photos, "--shape", "12x16", "--out", "small")
    assert said.code == 1
    assert "exist" in said.err
    assert run("pixels", "rescale", "small", "--factor", 0.5, "--out", "half").code == 0
    assert read_image(here / "half" / "day" / "0.png").shape == (6, 8, 3)
    assert run("pixels", "downscale", "small", "--factors", "2x4", "--out", "down").code == 0
    assert read_image(here / "down" / "day" / "0.png").shape == (6, 4, 3)
    assert run("pixels", "convert", "small", "--color", "grey", "--format", "tiff", "--out", "grey").code == 0
    assert read_image(here / "grey" / "day" / "0.tif").shape == (12, 16)
    (here / "small" / "bad.png").write_text("text")
    said = run("pixels", "info", "small")
    assert said.code == 1
    assert "12x16x3 uint8" in said.out
    assert "bad.png is text" in said.err


FULL = """
import resource, sys
from pixelry.cli import main
# No file may grow above 100 kB: what a full disk looks like to a program.
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.argv = ["pixelry", *sys.argv[1:]]
main()
"""


def test_a_full_disk_is_said(here: Path) -> None:
    words = (
        "train classify --data digits --network cnn --steps 3 --precision 32-true --memory-format contiguous --out run"
    )
    done = subprocess.run([sys.executable, "-c", FULL, *words.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"checkpoint run/checkpoints/last.ckpt cannot be written .*--resume run", done.stderr), done.stderr
    assert not (here / "run" / "model.safetensors").exists()


def test_version(run: Any) -> None:
    from pixelry import __version__

    assert run("--version").out.strip() == __version__


def test_pictures_are_restored_under_their_own_names(run: Any, here: Path) -> None:
    clean = here / "clean"
    clean.mkdir()
    for number in range(6):
        write_image(clean / f"{number}.png", np.tile(np.arange(0, 240, 6, dtype=np.uint8), (40 + number, 1)))
    other, tests = here / "other", here / "tests"
    for folder, count in ((other, 1), (tests, 12)):
        folder.mkdir()
        for number in range(count):
            write_image(folder / f"{number}.png", np.full((30, 30), 7 + number, dtype=np.uint8))
    trained = run(
        "train", "denoise", "--data", clean, "--test", tests, "--network", "logistic", "--steps", 10,
        "--set", "window=5", "--out", "d", "--json",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    assert {"psnr", "ssim", "psnr_noisy"} <= set(trained.json["metrics"])
    assert run("evaluate", "d", "--data", clean, "--json").json["split"] == "val"
    # Of other data than it was trained on, all is taken; and its own test pictures are other ones.
    for folder, count in ((other, 1), (tests, 12)):
        judged = run("evaluate", "d", "--data", folder, "--json").json
        assert (judged["split"], judged["metrics"]["images"]) == ("all", count)
    psnr = [run("evaluate", "d", "--data", other, "--set", f"sigma={s}", "--json").json["metrics"] for s in (5, 50)]
    assert psnr[0]["psnr_noisy"] > psnr[1]["psnr_noisy"] + 10
    wrong = run("evaluate", "d", "--data", other, "--set", "sigm=5")
    assert wrong.code == 2
    assert "unknown setting of denoise 'sigm'; did you mean 'sigma'" in wrong.err
    said = run("predict", "d", clean, "--out", "restored", "--json")
    assert [entry["shape"] for entry in said.json["predictions"]] == [[40 + number, 40] for number in range(6)]
    assert read_image(here / "restored" / "3.png").shape == (43, 40)


def test_pictures_are_made_and_completed(run: Any, here: Path) -> None:
    how = ("--network", "logistic", "--steps", 5, "--set", "levels=3", "--out", "g")
    assert run("train", "generate", "--data", "digits", *how).code == 0
    said = run("generate", "g", "--count", 3, "--seed", 5, "--json")
    assert said.json["folder"] == "runs/generate-logistic"
    assert [image["index"] for image in said.json["images"]] == [0, 1, 2]
    assert "3 pictures in made" in run("generate", "g", "--count", 3, "--out", "made").out
    write_image(here / "mask.png", np.repeat(np.array([0, 255], dtype=np.uint8), 32).reshape(8, 8))
    picture = here / "made" / "seed0-00001.png"
    completed = run("inpaint", "g", picture, "--mask", "mask.png", "--count", 2, "--out", "done")
    assert completed.code == 0, completed.err
    kept = read_image(here / "done" / "seed0-00000.png")[:4]
    assert np.array_equal(kept, read_image(picture)[:4])
    write_image(here / "wrong.png", np.full((4, 8), 255, dtype=np.uint8))
    wrong = run("inpaint", "g", picture, "--mask", "wrong.png", "--out", "not")
    assert wrong.code == 1
    assert "the mask has shape (4, 8), the picture (8, 8)" in wrong.err
    several = run("predict", "g", picture)
    assert several.code == 2
    assert "predicts nothing for an image" in several.err


def test_networks_are_listed_for_each_task(run: Any) -> None:
    listed = run("networks", "denoise", "--json").json
    assert listed["recommended"] == "unet"
    assert {"logistic", "unet", "dncnn", "nlm"} <= {row["name"] for row in listed["networks"]}
    everything = run("networks", "--json").json
    assert everything["recommended"]["generate"] == "ddpm"
