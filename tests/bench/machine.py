"""On which processor, in which environment and beside which load a benchmark ran, and which of its figures count."""

import importlib.metadata
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median

WIDEST = 0.15  # the spread of a ratio, (largest - smallest) / median, above which it is no result
EXTRAS = ("scipy", "optuna", "mlflow-skinny", "wandb")  # what an environment may hold besides the project's own


def described() -> str:
    """Return the processor, the environment and the load, a line each."""
    return f"processor: {processor()}\nenvironment: {environment()}\nload: {load()}"


def processor() -> str:
    """Return the processor's name, family and model, and how many cores this process may use."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    found = {key: re.search(rf"^{key}\s*: (.*)$", text, re.M) for key in ("model name", "cpu family", "model")}
    name, family, model = (match[1] if match else "" for match in found.values())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = f", family {family} model {model}" if family else ""
    wide = ", AVX-512" if "avx512f" in text else ""
    return f"{name or platform.processor() or platform.machine()}{kind}{wide}, {cores} cores"


def environment() -> str:
    """Return the versions that matter, and the packages of the extras that are installed."""
    installed = {package.metadata["Name"].lower() for package in importlib.metadata.distributions()}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "lightning"))
    beside = ", ".join(name for name in EXTRAS if name in installed) or "nothing of the extras"
    return f"Python {platform.python_version()}, {versions}, with {beside}"


def load() -> str:
    """Return the load averages: how many processes wanted a core in the last 1, 5 and 15 minutes."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return ", ".join(f"{average:.1f}" for average in os.getloadavg()) + " in the last 1, 5 and 15 minutes"


def figure(ratios: Sequence[float]) -> str:
    """Return the median of the rounds' ratios with their range, or that they are too far apart to be a result."""
    middle = median(ratios)
    spread = (max(ratios) - min(ratios)) / middle
    span = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return f"{middle:.2f} ({span})" if spread <= WIDEST else f"no result: {span}, a spread of {spread:.0%}"
