"""TensorBoard event files, read back."""

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read(folder: Path) -> Any:
    """Everything in the event files of a run directory."""
    return EventAccumulator(str(folder), size_guidance=dict.fromkeys(("scalars", "images", "histograms"), 0)).Reload()


def scalar(folder: Path, tag: str) -> dict[int, float]:
    """One curve, value by step."""
    return {event.step: event.value for event in read(folder).Scalars(tag)}
