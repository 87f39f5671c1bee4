"""The time that a run takes."""

import time


class Stopwatch:
    """Counts the seconds of a run and of compiling, including the parts before it was resumed."""

    def __init__(self) -> None:
        self.earlier = {"seconds": 0.0, "compile_seconds": 0.0}  # before the run was resumed
        self.restart()

    def restart(self) -> None:
        """Start counting."""
        self.began, self.compile_seconds = time.perf_counter(), 0.0

    def times(self) -> dict[str, float]:
        """The seconds so far: `seconds`, and of them `compile_seconds`."""
        now = {"seconds": time.perf_counter() - self.began, "compile_seconds": self.compile_seconds}
        return {name: self.earlier[name] + seconds for name, seconds in now.items()}
