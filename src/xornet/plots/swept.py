"""A swept key as an axis of a picture."""

import math
from dataclasses import dataclass

import numpy as np


def shown(text: str, longest: int = 48) -> str:
    """The text as a label: not too long, a number with four digits, and never mathematics to matplotlib.

    A long text is cut in the middle, since its ends often tell it from others.
    """
    if len(text) > longest:
        try:
            return f"{float(text):.4g}"
        except ValueError:
            begin = longest // 3
            text = f"{text[:begin]}…{text[begin + 1 - longest :]}"
    return text.replace("$", r"\$")


@dataclass
class Axis:
    """A swept key and its value in every job, as on the command line.

    Args:
        key: e.g. `optimizer.lr`.
        values: (J,), e.g. ["0.01", "0.1"]; a list of one number is drawn as that number.

    """

    key: str
    values: list[str]

    def __post_init__(self) -> None:
        names = list(dict.fromkeys(self.values))
        try:
            places = [float(value.strip("[]")) for value in self.values]
            self.is_numeric = all(map(math.isfinite, places))
        except ValueError:
            self.is_numeric = False
        if not self.is_numeric:
            places = [float(names.index(value)) for value in self.values]
        self.positions = np.array(places)  # (J,), the numbers, or for words their order
        self.order = sorted(names, key=lambda name: places[self.values.index(name)])  # the different values
        for longest in (16, 24):
            self.labels = [shown(name, longest) for name in self.order]
            if len(set(self.labels)) == len(names):
                break
        else:  # some look alike
            self.labels = [f"{label} ({number})" for number, label in enumerate(self.labels, 1)]
        # Long words side by side would overlap.
        self.rotation = 20 if len(self.order) > 3 or max(map(len, self.labels)) > 16 else 0
        by_name = dict(zip(self.order, self.labels, strict=True))
        self.label_of_job = [by_name[value] for value in self.values]
        self.scale = "log" if self.is_numeric and 0 < 10 * min(places) <= max(places) else "linear"
