"""One thread against two, with every core idle and with every core busy: python tests/bench/threads.py [NETWORKS].

A network's nanoseconds of a compiled epoch. Threads that wait for each other are awake by default; the commands of this
project have them sleep, with OMP_WAIT_POLICY=passive (src/xornet/cli/startup.py).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from machine import described

ROUNDS = 3
WAYS = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads, awake": {"OMP_NUM_THREADS": "2"},
    "2 threads, asleep": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
}


def main() -> None:
    """Print a table: a row for each way, its median and its range with idle and with busy cores."""
    networks = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(described())
    found: dict[str, list[list[float]]] = {way: [[], []] for way in WAYS}
    for _ in range(ROUNDS):
        for column, processes in enumerate((0, os.cpu_count() or 1)):
            with busy(processes):
                for way, environment in WAYS.items():
                    found[way][column].append(1e9 * seconds(networks, environment) / networks)
    print("| | every core idle | every core busy |\n|---|---|---|")
    for way, columns in found.items():
        print(f"| {way} |", *(f"{median(ns):,.1f} ns ({min(ns):,.1f} to {max(ns):,.1f}) |" for ns in columns))


def seconds(networks: int, environment: dict[str, str]) -> float:
    """The time of an epoch, in a process of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, str(Path(__file__).with_name("epoch.py")), "compiled", str(networks)]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Have so many processes compute for ever."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
