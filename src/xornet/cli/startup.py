"""What each script imports first: signals end it while it imports, what it prints goes somewhere, pictures into files.

Without the garbage collector until all is imported (see errors.one_line), a whole run takes 5.7 s instead of 7.5 s.
"""

import gc
import os

from xornet.cli import signals, streams

streams.make_usable()
signals.exit_at_once()
os.environ["MPLBACKEND"] = "agg"  # what a notebook's kernel exports may not be installed here
# Threads that wait for each other sleep: where other programs use the cores, those that wait awake keep the awaited one
# from running, and 10,000 networks take a hundred times as long (docs/benchmarks.md). Read when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
gc.disable()

# Here and not deep in a chain of imports, where calls can come to lie on the edge of a page of CPython's stack, which
# is then mapped and unmapped at every call: 50,000 times in scipy, which torchmetrics imports, or 0.3 s.
import lightning.pytorch  # noqa: F401 - for what it brings into memory
