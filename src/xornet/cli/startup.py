"""Imported first by each script: sets up signals, outputs and the garbage collector before the slow imports.

The garbage collector stays off until everything is imported (see errors.one_line): a run takes 5.7 s instead of 7.5 s.
"""

import gc
import os
import sys

from xornet.cli import signals, streams

streams.make_usable()
signals.exit_at_once()
os.environ["MPLBACKEND"] = "agg"  # the backend exported by a notebook's kernel may not be installed here
# Waiting threads sleep: if other programs use the cores, threads that wait actively keep the others from running, and
# 10,000 networks take a hundred times as long (docs/benchmarks.md). PyTorch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
gc.disable()

# Imported here, not deep inside other imports: there, calls can lie on a page boundary of CPython's stack, and the page
# is allocated and freed at every call, 50,000 times in scipy, which torchmetrics imports; this takes 0.3 s.
try:
    import lightning.pytorch  # noqa: F401 - only to load it
except OSError as error:  # PyTorch makes this directory when it is imported
    sys.exit(f"error: {error}; use TORCHINDUCTOR_CACHE_DIR=<a writable directory>")
