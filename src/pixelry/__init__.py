"""Pixelry: learn from images and make images, with one set of verbs.

import pixelry as px

data = px.load_dataset("digits")
model = px.train("classify", data, network="cnn")
report = model.evaluate(data)
result = model.predict("seven.png")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pixelry.machine import share_cores

if TYPE_CHECKING:
    from pixelry.api import evaluate, list_networks, predict, train
    from pixelry.api_compare import compare
    from pixelry.api_generate import generate, inpaint
    from pixelry.api_plan import plan as plan
    from pixelry.boxes import Boxes as Boxes
    from pixelry.comparison import Comparison as Comparison
    from pixelry.config import Recipe
    from pixelry.data.catalog import load_dataset
    from pixelry.data.check import check_dataset
    from pixelry.data.dataset import Dataset
    from pixelry.data.dataset import Split as Split
    from pixelry.errors import DataError as DataError
    from pixelry.errors import ExistsError as ExistsError
    from pixelry.errors import ImageError as ImageError
    from pixelry.errors import ModelError as ModelError
    from pixelry.errors import PixelryError
    from pixelry.errors import TrainingError as TrainingError
    from pixelry.errors import UsageError as UsageError
    from pixelry.instances import Instances as Instances
    from pixelry.logistic import LogisticRegression
    from pixelry.model import Model, load_model
    from pixelry.pixels import ImageCollection, read_image, write_image
    from pixelry.report import Report as Report
    from pixelry.results import Results as Results
    from pixelry.segments import Segments as Segments
    from pixelry.types import Generated as Generated
    from pixelry.types import Labels
    from pixelry.types import Restored as Restored

__version__ = "0.1.0"

share_cores()

# The one table of public names, by the module that each is imported from when it is first used: `import pixelry` loads
# no torch.
_NAMES = {
    "api": ("evaluate", "list_networks", "predict", "train"),
    "api_compare": ("compare",),
    "api_generate": ("generate", "inpaint"),
    "api_plan": ("plan",),
    "boxes": ("Boxes",),
    "comparison": ("Comparison",),
    "config": ("Recipe",),
    "data.catalog": ("load_dataset",),
    "data.check": ("check_dataset",),
    "data.dataset": ("Dataset", "Split"),
    "errors": (
        "DataError",
        "ExistsError",
        "ImageError",
        "ModelError",
        "PixelryError",
        "TrainingError",
        "UsageError",
    ),
    "instances": ("Instances",),
    "logistic": ("LogisticRegression",),
    "model": ("Model", "load_model"),
    "pixels": ("ImageCollection", "read_image", "write_image"),
    "report": ("Report",),
    "results": ("Results",),
    "segments": ("Segments",),
    "types": ("Generated", "Labels", "Restored"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

# What `from pixelry import *` takes: the verbs, and what they begin with. All other names of the table by name.
__all__ = [
    "Dataset",
    "ImageCollection",
    "Labels",
    "LogisticRegression",
    "Model",
    "PixelryError",
    "Recipe",
    "__version__",
    "check_dataset",
    "compare",
    "evaluate",
    "generate",
    "inpaint",
    "list_networks",
    "load_dataset",
    "load_model",
    "predict",
    "read_image",
    "train",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pixelry' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"pixelry.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOME})
