"""The machine at hand: cores that this process may use, and arithmetic that its processor has in hardware."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
# "on" or "off" overrules the processor's own answer, for a machine whose answer is wrong, and to compare.
BFLOAT16_VARIABLE = "PIXELRY_BFLOAT16"
# Names of torch.cpu.get_capabilities, and of /proc/cpuinfo, for products of bfloat16 matrices in hardware.
BFLOAT16_CAPABILITIES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def available_cores() -> int:
    """Return the number of cores that this process may use, at least 1.

    The CPU affinity counts (taskset, SLURM), and a container's quota (`docker run --cpus`), which `os.cpu_count`
    ignores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _container_quota()
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def _container_quota() -> float | None:
    """Return the cores of a control group's quota, version 2 or 1; None without a quota."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (CGROUP / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (CGROUP / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return cores if cores > 0 else None


def share_cores() -> None:
    """Let OpenMP's waiting threads sleep soon, unless the user's environment says how they wait.

    By default they spin for milliseconds: beside one other busy program, a training step on two cores then takes five
    times as long. The number is what libgomp itself takes where there are more threads than cores. It has an effect
    where torch is imported later than Pixelry.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = "1000"


def limit_threads() -> None:
    """Reduce torch's threads to the cores that are available, unless OMP_NUM_THREADS is set.

    torch counts the cores of the machine; in a container with fewer, its threads wait for each other.
    """
    import torch

    cores = available_cores()
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > cores:
        torch.set_num_threads(cores)


def has_bfloat16() -> bool:
    """Return whether the CPU multiplies bfloat16 in hardware: AVX512_BF16, AMX, or Arm's BF16.

    Without it torch emulates each product, which takes 10 to 100 times as long as float32.
    `PIXELRY_BFLOAT16=off` (or `on`) overrules the answer.
    """
    setting = os.environ.get(BFLOAT16_VARIABLE, "").lower()
    if setting in ("on", "off"):
        return setting == "on"
    if sys.platform == "darwin":
        return False  # the processors have it, torch's convolutions there do not use it
    capabilities = _capabilities()
    return any(name in capabilities for name in BFLOAT16_CAPABILITIES)


def _capabilities() -> set[str]:
    import torch

    query = getattr(torch.cpu, "get_capabilities", None)
    if query is not None:
        return {name for name, value in query().items() if value is True}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    return {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
