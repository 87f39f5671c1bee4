"""Runs read from their directories, to be compared: their networks, and how their configurations differ."""

import inspect
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xornet import schema
from xornet.checkpoint import CheckpointFile
from xornet.module import XORModule
from xornet.runs.checkpoints import last_checkpoint
from xornet.runs.differing import differing
from xornet.runs.metrics import evaluate, evaluate_networks
from xornet.runs.record import Run, read_metrics
from xornet.runs.settings import CONFIG, read_config

REMEDY = "use the directory of a run, or of one job of a sweep"
UNSET = "unset"  # for a key that only other runs have


def load(ckpt_path: str) -> tuple[XORModule, int]:
    """Return the networks of a checkpoint, with the truth table that they were trained on, and their epochs."""
    checkpoint = CheckpointFile().load_checkpoint(ckpt_path)
    known = inspect.signature(XORModule).parameters
    for part in {"hyper_parameters", "model"} & checkpoint.keys():  # a subclass may have arguments of its own
        checkpoint[part] = {name: value for name, value in checkpoint[part].items() if name in known}
    with schema.refusing(ckpt_path, "used"):
        module = XORModule(**checkpoint["hyper_parameters"])
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"])
    if not evaluate_networks(module)[1].isfinite().any():
        raise ValueError(f"ckpt_path={ckpt_path} holds no network with a finite loss; use another checkpoint")
    module.history.update_milestones(module.errors()[None], checkpoint["global_step"])
    return module, checkpoint["global_step"]


def read_run(folder: Path) -> tuple[Run, XORModule]:
    """Return a run, finished or not, as of its checkpoint, and its networks.

    Its overrides are its whole configuration, because runs may also differ in what the command line did not set.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no directory {folder}; {REMEDY}")
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} is no run: it has no {CONFIG}; {REMEDY}")
    checkpoint = last_checkpoint(folder)
    if not checkpoint.is_file():
        raise ValueError(
            f"{folder} cannot be compared: there is no {checkpoint}; use runs with their checkpoints in their directory"
        )
    module, epochs = load(str(checkpoint))
    if (results := read_metrics(folder)) and results["epochs"] != epochs:
        said = f"{checkpoint} is of epoch {epochs}, but the run ended at {results['epochs']}"
        raise ValueError(f"{folder} cannot be compared: {said}; use runs that end with a last.ckpt")
    # A class is named by the key of its group: `optimizer`, not `optimizer._target_`.
    values = {key.removesuffix("._target_"): value for key, value in read_config(folder).items()}
    words = {k: v if isinstance(v, str) else json.dumps(v, separators=(",", ":")) for k, v in values.items()}
    return Run(folder, words, {"epochs": epochs, **evaluate(module)}, None), module


def apart(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with only those keys whose values differ; each run has every such key.

    The arguments of a class that other runs do not have, such as a callback or an optimizer, are left out: the key of
    its group differs already.
    """
    keys = differing(list(runs))

    def follows(key: str) -> bool:
        group = key.rpartition(".")[0]
        having = {run.overrides[key] for run in runs if key in run.overrides}
        theirs = {run.overrides.get(group, "null") for run in runs if key in run.overrides}
        others = {run.overrides.get(group, "null") for run in runs if key not in run.overrides}
        return group in keys and len(having) == 1 and bool(others) and theirs.isdisjoint(others)

    columns = {key: cut([run.overrides.get(key, UNSET) for run in runs]) for key in keys if not follows(key)}
    return [replace(run, overrides={key: column[i] for key, column in columns.items()}) for i, run in enumerate(runs)]


def cut(values: list[str]) -> list[str]:
    """Return the values, classes without their modules, unless the modules differ."""
    names = [re.sub(r"^([a-z_]\w*\.)+(?=[A-Z])", "", value) for value in values]
    return names if len(set(names)) == len(set(values)) else values


def names(runs: Sequence[Run]) -> list[str]:
    """Return the directory of each run, relative to their common parent."""
    common = os.path.commonpath([run.folder for run in runs])
    return [str(run.folder.relative_to(common)) for run in runs]


def labels(runs: Sequence[Run]) -> list[str]:
    """Return a short label for each of the runs of `apart`: `lr=0.1 hidden=[4]`, with its name if that is not unique.

    A key is shortened to its last part if no other key ends with the same.
    """
    keys = list(runs[0].overrides)
    ends = [key.rpartition(".")[2] for key in keys]
    short = [key if ends.count(end) > 1 else end for key, end in zip(keys, ends, strict=True)]
    pairs = [zip(short, run.overrides.values(), strict=True) for run in runs]
    texts = [" ".join(f"{key}={value}" for key, value in each) for each in pairs]
    return [
        text if texts.count(text) == 1 else f"{text} {name}".strip()
        for text, name in zip(texts, names(runs), strict=True)
    ]
