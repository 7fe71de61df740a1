"""Arguments of the verbs as people type them in Python: brought to the declared type, or refused in one sentence."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import pixelry as px
from pixelry import api, api_compare, api_data, api_generate, api_plan, api_report, api_splits
from pixelry.arguments import ArgumentError, convert, parse_size, read_settings, verb
from pixelry.data.dataset import Dataset
from pixelry.errors import UsageError
from pixelry.model import Model


@pytest.mark.parametrize("given", [64, "64", "64x64", " 64 X 64 ", (64, 64), [64, 64], np.int64(64), 64.0, ("64", 64)])
def test_every_form_of_a_size_is_height_and_width(given: Any) -> None:
    assert parse_size(given) == (64, 64)
    assert all(type(side) is int for side in parse_size(given))


def test_height_comes_first() -> None:
    assert parse_size("48x64") == parse_size((48, 64)) == (48, 64)


@pytest.mark.parametrize("given", ["64by64", "", 6.5, (1, 2, 3), True, None, {"h": 3}, ("a", 3)])
def test_what_is_no_size_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="such as 64"):
        parse_size(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"lr": 0.1}, {"lr": 0.1}),
        ("lr=0.1", {"lr": 0.1}),
        ("lr=1e-3, label-smoothing=0.1", {"lr": 1e-3, "label_smoothing": 0.1}),
        (["lr=0.1", "width=64"], {"lr": 0.1, "width": 64}),
        ("lr=0.1 width=64", {"lr": 0.1, "width": 64}),
        ("scales=0.75,1", {"scales": "0.75,1"}),
        ({}, {}),
    ],
)
def test_settings_are_a_mapping_or_text(given: Any, expected: dict[str, Any]) -> None:
    assert read_settings(given) == expected


@pytest.mark.parametrize("given", [5, "lr", ["lr"], [3], {3: 4}])
def test_what_are_no_settings_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match=r"settings is .*; expected a mapping, such as \{'lr': 0.1\}"):
        read_settings(given)


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        ("2", float | None, 2.0),
        (2, float | None, 2.0),
        (np.float32(0.5), float, 0.5),
        (None, float | None, None),
        ("5", int, 5),
        (5.0, int, 5),
        (np.int64(5), int | None, 5),
        (np.True_, bool, True),
        (1, bool, True),
        (7, str | None, "7"),
        (Path("a") / "b", str | None, str(Path("a") / "b")),
        (Path("a"), str | Path | None, Path("a")),
        ("0.5", float | str, 0.5),
        ("backbone", float | str, "backbone"),
        ("a, b", Sequence[str] | None, ["a", "b"]),
        (("a", "b"), Sequence[str] | None, ["a", "b"]),
        ("x", Literal["x", "y"], "x"),
        ([1], Any, [1]),
    ],
)
def test_values_become_what_is_declared(given: Any, kind: Any, expected: Any) -> None:
    converted = convert("option", given, kind)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        ("two", float, "a number"),
        (True, float, "a number"),
        ([1], float | None, "a number"),
        (2.5, int, "a whole number"),
        ("nan", int, "a whole number"),
        ("1e400", int, "a whole number"),
        ("no", bool, "True or False"),
        (2, bool, "True or False"),
        (None, bool, "True or False"),
        (["cnn"], str, "text"),
        (5, str | Path, "a path"),
        (5, Sequence[str], "names, as a list"),
        ("z", Literal["x", "y"], "one of x, y"),
    ],
)
def test_other_types_are_refused_in_one_sentence(given: Any, kind: Any, expected: str) -> None:
    with pytest.raises(UsageError, match=rf"^option is .*; expected {expected}"):
        convert("option", given, kind)


VERBS = [
    function
    for module in (api, api_compare, api_data, api_generate, api_plan, api_report, api_splits)
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and function.__module__ == module.__name__
    and not name.startswith("_")
    and name not in {"read_dataset", "progress_bar", "make_console", "task_class"}
]
METHODS = [Model.predict, Model.evaluate, Model.generate, Model.inpaint, Model.stream]


@pytest.mark.parametrize("function", [*VERBS, *METHODS], ids=lambda function: function.__qualname__)
def test_every_verb_checks_its_arguments(function: Callable[..., Any]) -> None:
    assert len(VERBS) >= 11
    with pytest.raises(ArgumentError, match=rf"{function.__name__}\(\) has no argument 'nonsense'") as caught:
        function(nonsense=3)
    assert isinstance(caught.value, TypeError)
    kinds = {p.name: p for p in inspect.signature(function).parameters.values()}
    if "progress" in kinds or "seed" in kinds:
        name = "progress" if "progress" in kinds else "seed"
        needed = {p.name: "5" for p in kinds.values() if p.default is inspect.Parameter.empty and p.name != "self"}
        self = ("x",) if "self" in kinds else ()
        with pytest.raises(UsageError, match=f"{name} is 'no'; expected"):
            function(*self, **needed, **{name: "no"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.1}, r"no argument 'lr': it is a setting: settings=\{'lr': 0.1\}"),
        ({"batch_size": 32}, r"no argument 'batch_size': it is a setting: settings=\{'batch': 32\}"),
        ({"learning_rate": 0.1}, r"settings=\{'lr': 0.1\}"),
        ({"model": "cnn"}, "did you mean network='cnn'"),
        ({"num_epochs": 3}, "did you mean epochs=3"),
        ({"imgsz": 64}, "did you mean size=64"),
        ({"epoch": 3}, r"did you mean 'epochs'\?$"),
        ({"width": 64}, r"options of the task and the network go into settings=\{'width': 64\}"),
    ],
)
def test_an_unknown_name_points_to_what_is_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        px.train("classify", "digits", **options)


def test_calls_that_do_not_fit_are_refused_in_words() -> None:
    with pytest.raises(ArgumentError, match=r"takes task and data by position; give the others .* network='cnn'"):
        px.train("classify", "digits", "cnn")  # type: ignore[misc]
    with pytest.raises(ArgumentError, match=r"predict\(\) needs model and inputs"):
        px.predict()  # type: ignore[call-arg]


def test_errors_inside_a_verb_stay_what_they_are() -> None:
    @verb
    def fails(count: int = 1) -> int:
        raise TypeError(f"inside, {count + 1}")

    with pytest.raises(TypeError, match="inside, 3") as caught:
        fails("2")  # type: ignore[arg-type]
    assert not isinstance(caught.value, UsageError)


def test_a_run_takes_what_people_type(squares: Dataset, tmp_path: Path) -> None:
    model = px.train(
        "classify", squares, network="logistic", steps="2", size="8x8", settings="lr=0.1", channels="1",  # type: ignore[arg-type]
        precision="32-true", memory_format="contiguous", progress=False, out=tmp_path / "run",
    )  # fmt: skip
    assert model.card.size == (8, 8)
    assert model.card.channels == 1
    assert model.card.training["recipe"]["lr"] == 0.1
