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

if TYPE_CHECKING:
    from pixelry.api import evaluate, list_networks, predict, train
    from pixelry.api_compare import compare
    from pixelry.api_generate import generate, inpaint
    from pixelry.config import Recipe
    from pixelry.data.catalog import load_dataset
    from pixelry.data.check import check_dataset
    from pixelry.data.dataset import Dataset
    from pixelry.errors import PixelryError
    from pixelry.logistic import LogisticRegression
    from pixelry.model import Model, load_model
    from pixelry.pixels import ImageCollection, read_image, write_image
    from pixelry.types import Labels

__version__ = "0.1.0"

# Where each public name lives: it is imported when it is first used, so that `import pixelry` loads no torch.
_HOME = {
    "train": "api",
    "compare": "api_compare",
    "evaluate": "api",
    "predict": "api",
    "list_networks": "api",
    "generate": "api_generate",
    "inpaint": "api_generate",
    "load_dataset": "data.catalog",
    "check_dataset": "data.check",
    "Dataset": "data.dataset",
    "load_model": "model",
    "Model": "model",
    "Labels": "types",
    "LogisticRegression": "logistic",
    "Recipe": "config",
    "PixelryError": "errors",
    "read_image": "pixels",
    "write_image": "pixels",
    "ImageCollection": "pixels",
}

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
    return __all__
