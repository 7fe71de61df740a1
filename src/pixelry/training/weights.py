"""Start from other weights: torchvision's by name, a Pixelry model file, or a safetensors state dict."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torchvision import models

from pixelry.errors import ModelError, UsageError
from pixelry.networks.blocks import Normalize

# Mean and standard deviation of colours with which most of torchvision's weights were trained.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def load_weights(network: nn.Module, source: str, plugin: ModuleType) -> list[str]:
    """Load weights into a network, and say of each that does not fit.

    A grey network takes the sum of a colour network's first filters over the channels, so that it answers to a grey
    picture as the other did to the same picture in colour.

    Args:
        network: Is changed in place.
        source: A name that the network's file lists in `WEIGHTS`, such as "imagenet", or a safetensors file.
        plugin: The network's file.

    Returns:
        What did not fit and was left at its initial values: only parameters of the head may.

    Raises:
        UsageError: The network has no weights of that name and no such file exists.
        ModelError: The file is no safetensors file, nothing can be downloaded, or backbone weights do not fit.
    """
    # A network that is built in several ways knows itself which weights fit.
    known: dict[str, str] = getattr(network, "weights", getattr(plugin, "WEIGHTS", {}))
    if source in known:
        state = download(known[source])
        renamed = getattr(network, "renamed", None)
        if renamed is not None:
            state = renamed(state)
        normalize = getattr(network, "normalize", None)
        if normalize is not None:
            _standardise_by(normalize, *getattr(network, "statistics", IMAGENET))
    elif Path(source).is_file():
        state = read_state(Path(source))
    else:
        names = ", ".join(f"'{name}'" for name in known) or "none by name"
        others = " or ".join(f"backbone={name}" for name in getattr(plugin, "BACKBONES", {}))
        remedy = f"; they are there for --set {others}" if source in getattr(plugin, "WEIGHTS", {}) and others else ""
        raise UsageError(f"weights '{source}' are neither a file nor known for this network ({names}){remedy}")
    return transfer(network, state, source)


def transfer(network: nn.Module, state: dict[str, Tensor], source: str) -> list[str]:
    """Copy the weights that fit, by name, with or without the `body.` prefix; see `load_weights`."""
    own = network.state_dict()
    prefix = "body." if not any(name in own for name in state) else ""
    given = {prefix + name: value for name, value in state.items()}
    # What has no head, such as a generator, fits as a whole or not at all.
    last = getattr(network, "head", None)
    head = {id(p) for p in last.parameters()} if isinstance(last, nn.Module) else set()
    head_names = {name for name, p in network.named_parameters() if id(p) in head}
    fitting, left, wrong = {}, [], []
    for name, value in own.items():
        found = given.get(name)
        if found is not None and _sums_to(found, value):
            found = found.sum(1, keepdim=True)
        if found is not None and found.shape == value.shape:
            fitting[name] = found
            continue
        what = f"{name} {tuple(value.shape)}"
        what += " is missing there" if found is None else f" is {tuple(found.shape)} there"
        if name in head_names:
            left.append(what)
        elif not name.startswith("normalize.") and not name.endswith("num_batches_tracked"):
            wrong.append(what)
    if wrong:
        raise ModelError(
            f"the weights of {source} do not fit this network: {'; '.join(wrong[:5])}"
            + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        )
    network.load_state_dict(fitting, strict=False)
    extra = [name for name in given if name not in own]
    return left + [f"{name} is not in this network" for name in extra]


def _sums_to(found: Tensor, wanted: Tensor) -> bool:
    """Whether `found` are filters over three channels where `wanted` are the same over one."""
    return wanted.ndim == 4 and found.shape == (wanted.shape[0], 3, *wanted.shape[2:]) and wanted.shape[1] == 1


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file.

    Raises:
        ModelError: It is no safetensors file; a pickle is named as such, and not read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        pickled = zipfile.is_zipfile(path) or path.read_bytes()[:1] == b"\x80"
        hint = "it is a pickle, which is never read; save its state dict with safetensors" if pickled else error
        raise ModelError(f"{path} is no safetensors file: {hint}") from None


def download(name: str) -> dict[str, Tensor]:
    """Return weights of torchvision by their full name, from torch's hub folder or from the net.

    Raises:
        ModelError: They are not there, and cannot be downloaded.
    """
    weights = models.get_weight(name)
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    except (URLError, OSError) as error:
        file = weights.url.rsplit("/", 1)[-1]
        raise ModelError(
            f"the weights {name} cannot be downloaded from {weights.url} ({error}); without a network, put {file} into "
            "torch's hub folder (TORCH_HOME/hub/checkpoints), or give --weights FILE.safetensors"
        ) from None
    return state


def _standardise_by(normalize: Normalize, mean: Sequence[float], std: Sequence[float]) -> None:
    """Set the input standardisation that weights were trained with."""
    for buffer, colors in ((normalize.mean, mean), (normalize.std, std)):
        values = colors if len(buffer) == 3 else (sum(colors) / 3,)
        buffer.copy_(buffer.new_tensor(values).view_as(buffer))
