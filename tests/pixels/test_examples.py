"""The examples in the docstrings run, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import pixelry.pixels

MODULES = [module.name for module in pkgutil.iter_modules(pixelry.pixels.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(f"pixelry.pixels.{name}"))
    assert result.failed == 0


@pytest.mark.parametrize("name", sorted(pixelry.pixels.__all__))
def test_public_names(name):
    value = getattr(pixelry.pixels, name)
    if inspect.isfunction(value):
        assert ">>>" in value.__doc__
        first, *rest = inspect.signature(value).parameters.values()
        assert first.default is inspect.Parameter.empty
        if first.name == "image":
            assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in rest)
