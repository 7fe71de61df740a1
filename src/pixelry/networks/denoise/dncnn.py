"""DnCNN: seventeen convolutions that say what of a picture is noise."""

from __future__ import annotations

from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.errors import UsageError

SUMMARY = "the classic: seventeen convolutions that tell the noise, as published"
SOURCE = "Zhang et al. 2017, Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising"
FAMILY = "regression"
RECIPES = {
    # The paper's SGD, 0.1 to 1e-4 over 50 epochs of 200,000 patches, is for hours of a GPU; its authors' own PyTorch
    # code trains with Adam at this rate.
    "denoise": Recipe(lr=1e-3, weight_decay=0.0, batch=32, epochs=50, warmup=0.02, ema=0.02, augment="symmetries"),
}


class DnCNN(nn.Module):
    """The network: noisy pictures (B, C, H, W) in [0, 1] to clean ones, of any size.

    Args:
        channels: C.
        depth: Convolutions; 17 for one level of noise, 20 for a range (section III).
        width: Channels between them.
    """

    def __init__(self, channels: int, depth: int, width: int) -> None:
        super().__init__()
        self.channels = channels
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.noise = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))
        for layer in self.noise:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the picture less what is noise (equation 1): residual learning."""
        restored: Tensor = x - self.noise(x)
        return restored


def build(*, channels: int, size: tuple[int, int], depth: int = 17, width: int = 64) -> DnCNN:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the training patches in pixels; the paper's have 40x40.
        depth: Convolutions; the paper has 17, and 20 for noise of several levels.
        width: Channels between them; the paper has 64.
    """
    if depth < 2 or width < 1:
        raise UsageError(f"depth is {depth}, width {width}; expected a depth from 2 and a width from 1")
    return DnCNN(channels, depth, width)
