"""How long a run has taken."""

import time


class Stopwatch:
    """The seconds that a run has taken, and those of them that went into compiling, its earlier parts included."""

    def __init__(self) -> None:
        self.earlier = {"seconds": 0.0, "compile_seconds": 0.0}  # of the parts before this run was resumed
        self.restart()

    def restart(self) -> None:
        """Begin to count."""
        self.began, self.compile_seconds = time.perf_counter(), 0.0

    def times(self) -> dict[str, float]:
        """The seconds so far: `seconds`, and of them `compile_seconds`."""
        now = {"seconds": time.perf_counter() - self.began, "compile_seconds": self.compile_seconds}
        return {name: self.earlier[name] + seconds for name, seconds in now.items()}
