"""Networks as they predict: batch normalisation is part of the convolution before it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_Tables = list[Mapping[str, Any]]
# By network: the tables in which its modules hold what they consist of, what stood in them, and the fused copy.
_known: WeakKeyDictionary[nn.Module, tuple[_Tables, list[tuple[int, ...]], nn.Module]] = WeakKeyDictionary()


def fused(network: nn.Module) -> nn.Module:
    """Return a network that answers as another in evaluation mode does, up to rounding, in less time.

    A batch normalisation that has learnt is a scale and a shift, which the convolution before it takes on
    (Jacob et al. 2018, section 3.2); and filters lie in memory as pictures do, with the channels last. What comes
    before what is known within `nn.Sequential` only; elsewhere layers stay as they are.

    The copy is kept as long as the network, and made anew when a weight or a layer has changed.

    Args:
        network: Stays as it is.
    """
    if network in _known:
        tables, state, made = _known[network]
        if state == _state(tables):
            return made
    made = copy.deepcopy(network).eval()
    with torch.no_grad():
        for chain in [module for module in made.modules() if isinstance(module, nn.Sequential)]:
            _fuse(chain)
    made = made.to(memory_format=torch.channels_last)
    # The tables are looked through at every prediction, and walking through the modules would take longer.
    tables = [table for m in network.modules() for table in (m._parameters, m._buffers, m._modules) if table]
    _known[network] = tables, _state(tables), made
    return made


def _state(tables: Iterable[Mapping[str, Any]]) -> list[tuple[int, ...]]:
    """Return numbers that differ when a layer or a weight has."""
    return [_mark(value) for table in tables for value in table.values()]


def _mark(value: Any) -> tuple[int, ...]:
    if not isinstance(value, Tensor):
        return (id(value),)
    # What was made in inference mode counts no versions.
    return id(value), value.data_ptr(), 0 if value.is_inference() else value._version


def _fuse(chain: nn.Sequential) -> None:
    for place, (layer, after) in enumerate(pairwise(list(chain))):
        # By exact type: a parametrised convolution has another, and its weight is no weight to write.
        if type(layer) is nn.Conv2d and type(after) is nn.BatchNorm2d and after.running_mean is not None:
            chain[place], chain[place + 1] = fuse_conv_bn_eval(layer, after), nn.Identity()
