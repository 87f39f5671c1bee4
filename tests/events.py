"""TensorBoard event files, read back, and served."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from xornet.runs.directory import PROJECT


def read(folder: Path) -> Any:
    """Everything in the event files of a run directory."""
    return EventAccumulator(str(folder), size_guidance=dict.fromkeys(("scalars", "images", "histograms"), 0)).Reload()


def scalar(folder: Path, tag: str) -> dict[int, float]:
    """One curve, value by step."""
    return {event.step: event.value for event in read(folder).Scalars(tag)}


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, str]]:
    """Run TensorBoard as the Makefile does, on a port of its own choice; its process and its address."""
    recipe = next(line for line in (PROJECT / "Makefile").read_text().splitlines() if "/tensorboard --logdir" in line)
    _, *options = shlex.split(recipe.replace("$(ARGS)", "--port 0"))
    options[options.index("--logdir") + 1] = str(folder)
    server = [sys.executable, "-m", "tensorboard.main", *options]
    with subprocess.Popen(server, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = (re.search(r"at (http://\S+/) \(Press", line) for line in process.stderr)
            yield process.pid, next(match[1] for match in found if match)
        finally:
            process.terminate()
