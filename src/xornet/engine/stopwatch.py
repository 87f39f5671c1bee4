"""The time that a run takes."""

import time


class Stopwatch:
    """Counts the seconds of a run and of compiling, including the parts before it was resumed or continued.

    It stands still between two parts: a notebook may wait an hour before it saves a run, or after an error.
    """

    def __init__(self) -> None:
        self.earlier = {"seconds": 0.0, "compile_seconds": 0.0}  # of earlier parts
        self.seconds = self.compile_seconds = 0.0  # of this part
        self.began: float | None = None

    def start(self) -> None:
        """Start counting the next part."""
        self.earlier = self.times()
        self.seconds = self.compile_seconds = 0.0
        self.began = time.perf_counter()

    def lap(self) -> None:
        """Count up to now."""
        if self.began is not None:
            self.seconds = time.perf_counter() - self.began

    def stop(self) -> None:
        """Count up to now, and no further."""
        self.lap()
        self.began = None

    def times(self) -> dict[str, float]:
        """The seconds up to the last lap: `seconds`, and of them `compile_seconds`."""
        now = {"seconds": self.seconds, "compile_seconds": self.compile_seconds}
        return {name: self.earlier[name] + seconds for name, seconds in now.items()}
