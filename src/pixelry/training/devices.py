"""Whether this machine has what a run is to run on, asked before data is read and a folder is made."""

from __future__ import annotations

import torch

from pixelry.config import EngineConfig
from pixelry.errors import UsageError, unknown

GPUS = ("gpu", "cuda", "mps")


def check_engine(engine: EngineConfig) -> None:
    """Raise UsageError where a run asks for an accelerator, or for more devices, than torch finds here.

    The strategy is one of Lightning's.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    there = {"gpu": cuda or mps, "cuda": cuda, "mps": mps}
    if not there.get(engine.accelerator, True):
        reason = "" if torch.version.cuda or mps else ", and this torch was built without CUDA"
        raise UsageError(
            f"--accelerator {engine.accelerator}: torch finds no such device here{reason}; "
            "leave it out to take what there is"
        )
    if engine.strategy != "auto":
        from lightning.pytorch.strategies import StrategyRegistry

        known = StrategyRegistry.available_strategies()
        if engine.strategy not in known:
            raise unknown("strategy", engine.strategy, ["auto", *known])
    numbered = "," in engine.devices
    if cuda and engine.accelerator in ("auto", "gpu", "cuda") and (numbered or engine.devices.isdigit()):
        count = torch.cuda.device_count()
        asked = [int(part) for part in engine.devices.split(",") if part]
        if (max(asked) >= count) if numbered else asked[0] > count:
            raise UsageError(f"--devices {engine.devices}: torch finds {count} GPU{'s' if count > 1 else ''} here")
