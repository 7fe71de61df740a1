"""Where on an image the evidence for a class lies: Grad-CAM, and for linear networks weights times pixels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.data.loading import eval_batch, to_float
from pixelry.networks.blocks import Fitted

# The longer side of the feature map that is looked at: of small images the last one may be a single place.
MIN_PLACES = 4


@dataclass
class _Seen:
    """The output of a module."""

    module: nn.Module
    output: Tensor


def evidence_maps(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Return where the evidence for a class lies on each image.

    Grad-CAM (Selvaraju et al. 2017): the channels of the last feature map, each weighted by the mean of the class
    score's gradient over it, summed and cut at 0 (equations 1 and 2), enlarged to the image by bilinear interpolation.
    The last feature map is the last output (B, C, h, w) of a module of which a side is 4 or more; of small images, on
    which there is none, the last with more than one place.

    Where the last such output is that of an input layer, as of softmax regression, the network has no feature maps, and
    gradient times input takes their place: of a linear network exactly what each pixel adds to the class score.

    Args:
        network: Maps images to logits (B, K); in evaluation mode.
        images: (B, C, H, W), uint8 or float in [0, 1].
        targets: (B,) class indices.

    Returns:
        (B, H, W) float32 in [0, 1], the most evidence of each image is 1; all 0 where nothing speaks for the class.
    """
    device = next((tensor.device for tensor in chain(network.parameters(), network.buffers())), images.device)
    # A few at a time: unlike in prediction, what all layers gave is kept for the gradient.
    step = max(1, eval_batch((images.shape[-2], images.shape[-1])) // 8)
    parts = zip(images.split(step), targets.split(step), strict=True)
    return torch.cat([_maps(network, to_float(part.to(device)), target.to(device)) for part, target in parts])


def _maps(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        # A copy that is no inference tensor, and from which on gradients are kept even if all weights are frozen.
        pixels = images.detach().clone().requires_grad_(True)
        logits, seen = _run(network, pixels)
        score = logits.float().gather(1, targets[:, None]).sum()
        source = seen.output if seen is not None else pixels
        (gradient,) = torch.autograd.grad(score, source)
    values, gradient = source.detach().float(), gradient.float()
    if seen is None or isinstance(seen.module, Fitted):
        maps = (gradient * values).sum(1)
    else:
        weights = gradient.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        maps = (weights * values).sum(1)
    maps = F.interpolate(maps.relu()[:, None], images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    largest = maps.amax((1, 2), keepdim=True)
    return torch.where(largest > 0, maps / largest.clamp_min(torch.finfo(maps.dtype).tiny), torch.zeros_like(maps))


def _run(network: nn.Module, pixels: Tensor) -> tuple[Tensor, _Seen | None]:
    """Return the logits, and the module whose output is the last feature map; None where no output is a map."""
    last: list[_Seen | None] = [None, None]  # of enough places, and of any

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, Tensor) or output.ndim != 4 or max(output.shape[-2:]) < 2:
            return
        last[1] = _Seen(module, output)
        if max(output.shape[-2:]) >= MIN_PLACES:
            last[0] = last[1]

    hooks = [module.register_forward_hook(note) for module in network.modules() if module is not network]
    try:
        logits: Tensor = network(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return logits, last[0] or last[1]
