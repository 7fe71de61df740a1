"""The house keeps its order: imports point one way, public names are few, and messages are clear."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pixelry
from pixelry.errors import PixelryError, did_you_mean, unknown

SOURCE = Path(pixelry.__file__).parent
# Each part may import from itself and from those before it.
LAYERS = [
    {"errors", "plugins", "config", "paths", "machine", "folders", "declared"},
    {"argument_hints", "arguments", "progress"},
    {"distances", "blending"},
    {"pixels"},
    {"draw", "display", "heat"},
    {"reports"},
    {"boxes", "instances", "regions", "segments", "types", "results"},
    {"data"},
    {"preflight"},
    {"networks"},
    {"tasks"},
    {"training"},
    {"report"},
    {"video", "card", "inputs", "model"},
    {"denoising", "features", "judging", "way", "tiling", "watching"},
    {"runs", "estimates", "choice", "rungs", "folds", "comparison", "predictions", "region_files", "run_report"},
    {"api", "api_compare", "api_data", "api_plan", "api_generate", "api_predict", "api_splits", "api_report"},
    {"tour", "signatures"},
    {"cli", "cli_pixels", "cli_hints", "cli_crash"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
# Estimators that stand alone: textbook code that anything may use and that uses nothing of ours.
RANK["logistic"] = 0
FREE = {"__init__", "__main__", "__version__"}


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[tuple[str, ...]]:
    """Return the modules of ours that a file imports, as tuples of names below the package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pixelry":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "pixelry"]
        found |= {tuple(name.split(".")[1:]) for name in names}
    return {names for names in found if names}


FILES = sorted(path for path in SOURCE.rglob("*.py") if part_of(path) not in FREE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    here = part_of(path)
    assert here in RANK, f"{here} has no place in the layers"
    for names in imported(path):
        if names[0] in FREE or type_checking_only(path, names):
            continue
        if names[0] == "judging" and here == "model":
            continue  # a model's evaluation compares its pictures by what other models see in them
        if names[0] == "tour" and here == "api":
            continue  # the verb `tour` is the one that calls what stands on top of the verbs
        assert RANK[names[0]] <= RANK[here], f"{here} imports {'.'.join(names)}, which stands above it"


def type_checking_only(path: Path, names: tuple[str, ...]) -> bool:
    """Return whether a module is imported only for annotations."""
    tree = ast.parse(path.read_text())
    guarded = [
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
    ]
    inside = {tuple(f"{n.module}.{a.name}".split(".")[1:]) for n in guarded for a in n.names}
    every = [
        tuple(f"{n.module}.{a.name}".split(".")[1:])
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and n.module
        for a in n.names
    ]
    return names in inside and every.count(names) == 1


def test_networks_know_only_blocks_and_recipes() -> None:
    for path in (SOURCE / "networks").glob("*.py"):
        for names in imported(path):
            assert names[:2] in {("networks", "blocks")} or names[0] == "config", f"{path.name}: {names}"


def test_formats_and_networks_do_not_know_each_other() -> None:
    for folder, shared in (("networks", {"blocks"}), ("tasks", {"base"})):
        for path in (SOURCE / folder).glob("[!_]*.py"):
            for names in imported(path):
                if names[0] == folder and len(names) > 1:
                    assert names[1] in shared or names[1].startswith("_"), f"{path.name}: {names}"


def test_public_names_are_few_and_all_there() -> None:
    assert len(pixelry.__all__) <= 20
    for name in pixelry.__all__:
        assert getattr(pixelry, name) is not None
    assert set(pixelry.__all__) <= set(dir(pixelry))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = pixelry.trian


def test_one_table_has_every_public_name() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    declared = {(alias.name, f"{node.module}".removeprefix("pixelry.")) for node in imports for alias in node.names}
    assert declared == set(pixelry._HOME.items())
    for name in pixelry._HOME:
        assert getattr(pixelry, name).__name__ == name
    assert set(pixelry.__all__) - {"__version__"} <= set(pixelry._HOME) <= set(dir(pixelry))
    errors = {name for name in vars(pixelry.errors) if name.endswith("Error")}
    assert errors <= set(pixelry._HOME)


def test_files_stay_readable() -> None:
    long = [path for path in SOURCE.rglob("*.py") if len(path.read_text().splitlines()) > 450]
    assert not long


def test_names_are_corrected() -> None:
    assert str(unknown("network", "resnt18", ["cnn", "resnet18"])) == (
        "unknown network 'resnt18'; did you mean 'resnet18'?"
    )
    assert did_you_mean("zebra", ["cnn", "vgg16"]) == "; known: cnn, vgg16"
    assert unknown("x", "y", []).exit_code == 2
    assert PixelryError.exit_code == 1
