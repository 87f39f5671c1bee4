"""Random configurations: each ends in a finished run or in one clear line."""

import re
from pathlib import Path

import pytest
import torch
from conftest import SRC, Command, CommandResult
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

# What may stand anywhere; no number here makes a run long that is allowed.
ODD = [
    *(
        "0",
        "-1",
        "1",
        "2",
        "0.5",
        "-0.5",
        "1e30",
        "1e31",
        "1e-30",
        "nan",
        "inf",
        "true",
        "false",
        "null",
        "''",
        "x",
        "[]",
    ),
    *("[1]", "[a]", "{}", "{a:1}", "[[1]]", "${seed}", "${nothing}", "${oc.env:NOTHING}", "???", "ü", "'a=b'", "'['"),
    *("'%s'", "'{0}'", "'../x'", "a b", "99999999999999999999", "-2147483649", "1_0", "0x10", "1e400", "00:00", "\\"),
]
SMALL = [str(number) for number in (1, 2, 3, 5, 8)]
FLAGS = ["true", "false", "null"]
RATES = ["0", "1e-3", "0.1", "0.9", "1.0", "1", "10", "1000", "1e30"]
PAIRS = ["[0.9,0.99]", "[0.5,0.5]", "[0,0]", "[1,1]", "[0.9]", "[0.9,0.9,0.9]", "[-1,2]"]
OPTIMIZERS = [name for name in dir(torch.optim) if name[0].isupper()]

KEYS: dict[str, list[str]] = {
    "seed": ["0", "7", "9223372036854775807", "18446744073709551615"],
    "networks": SMALL,
    "ckpt_path": ["nowhere", "/", "/dev/null"],
    "data": ["xor"],
    "data.bits": ["1", "2", "3", "4"],
    "model.hidden": ["[]", "[1]", "[2,3]", "[4,4,4]", "[0]", "[2.0]", "[true]", "[5000]", "[[2]]", "4"],
    "model.activation": ["sigmoid", "tanh", "relu"],
    "model.init": [*RATES, "null"],
    "model.tolerance": [*RATES],
    "model.gradient": ["backprop", "autograd"],
    "model.compile": ["auto", "false"],
    "optimizer": ["sgd", "adam", "adamw", "rmsprop"],
    "optimizer._target_": [f"torch.optim.{name}" for name in OPTIMIZERS],
    "optimizer.lr": RATES,
    **{
        f"optimizer.{name}": RATES for name in ("momentum", "dampening", "weight_decay", "eps", "alpha", "rho", "lambd")
    },
    **{f"optimizer.{name}": PAIRS for name in ("betas", "etas", "step_sizes")},
    **{
        f"optimizer.{name}": FLAGS
        for name in ("nesterov", "amsgrad", "maximize", "foreach", "fused", "capturable", "differentiable", "centered")
    },
    "trainer": ["default"],
    "trainer.max_steps": [*SMALL],
    "trainer.min_epochs": SMALL,
    "trainer.min_steps": SMALL,
    "trainer.max_time": ["00:00:00:01", "{seconds:1}"],
    "trainer.precision": ["32", "64", "32-true", "64-true", "16-mixed", "bf16", "transformer-engine"],
    "trainer.accelerator": ["cpu", "auto", "gpu", "tpu", "mps"],
    "trainer.devices": ["1", "auto", "[0]", "2"],
    "trainer.num_nodes": ["1", "2"],
    "trainer.strategy": ["auto", "ddp", "fsdp", "single_device", "deepspeed"],
    "trainer.profiler": ["simple", "advanced", "pytorch"],
    "trainer.logger": FLAGS,
    "trainer.plugins": ["[]"],
    "trainer.default_root_dir": ["/dev/null", "/proc"],
    **{f"trainer.{name}": FLAGS for name in ("deterministic", "benchmark", "barebones", "inference_mode")},
    **{f"trainer.{name}": FLAGS for name in ("detect_anomaly", "use_distributed_sampler", "fast_dev_run")},
    **{
        f"trainer.enable_{name}": FLAGS
        for name in ("checkpointing", "progress_bar", "model_summary", "autolog_hparams")
    },
    **{f"trainer.limit_{name}_batches": ["1", "1.0", "0", "0.5"] for name in ("train", "val", "test", "predict")},
    **{
        f"trainer.{name}": SMALL
        for name in ("log_every_n_steps", "check_val_every_n_epoch", "val_check_interval", "num_sanity_val_steps")
    },
    **{
        f"trainer.{name}": SMALL
        for name in ("overfit_batches", "accumulate_grad_batches", "reload_dataloaders_every_n_epochs")
    },
    "trainer.gradient_clip_val": RATES,
    "trainer.gradient_clip_algorithm": ["norm", "value"],
    "callbacks": ["default", "early_stopping"],
    "callbacks.loss_table.every_n_epochs": SMALL,
    "callbacks.gradient_monitor.every_n_epochs": SMALL,
    "callbacks.gradient_monitor.histogram_every_n_epochs": SMALL,
    "callbacks.animation.max_frames": ["2", "3"],
    "callbacks.checkpoint.every_n_epochs": SMALL,
    "callbacks.checkpoint.dirpath": ["/dev/null/x"],
    **{
        f"callbacks.{name}": ["null"]
        for name in ("loss_table", "progress_bar", "metrics", "gradient_monitor", "run_summary", "loss_curve")
    },
    **{f"callbacks.{name}": ["null"] for name in ("animation", "checkpoint")},
    "callbacks.early_stopping.monitor": ["train/loss", "train/solved", "nothing"],
    "callbacks.early_stopping.mode": ["min", "max"],
    "callbacks.early_stopping.stopping_threshold": RATES,
    "callbacks.early_stopping.patience": SMALL,
    "callbacks.early_stopping.every_n_epochs": SMALL,
    "logger": ["tensorboard", "csv"],
    "logger.tensorboard.name": ["x"],
    "logger.tensorboard.save_dir": ["/dev/null"],
    "logger.tensorboard.version": ["3"],
    "experiment": ["lab", "linear"],
    "hydra/launcher": ["basic"],
    "hydra.mode": ["RUN"],
    "hydra.job.name": ["x"],
    "hydra.verbose": FLAGS,
    "hydra.job.chdir": FLAGS,
    "hydra.output_subdir": ["x"],
}
FILES = {"trainer": "trainer/default.yaml", "optimizer": "optimizer/sgd.yaml"}
LISTED = [
    f"{group}.{key}" for group, file in FILES.items() for key in map(str, OmegaConf.load(SRC.parent / "conf" / file))
]
SHORT = ["trainer.max_epochs=6", "callbacks.animation.max_frames=2"]


@st.composite
def overrides(draw: st.DrawFn) -> list[str]:
    """A short run with one to five overrides, most of them of values that their key has heard of."""
    keys = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=5, unique=True))
    values = [draw(st.sampled_from(KEYS[key] if draw(st.integers(0, 4)) else ODD)) for key in keys]
    # A key that no file lists takes a plus.
    usual = ["+" if key.startswith(("trainer.", "optimizer.")) and key not in LISTED else "" for key in keys]
    signs = [draw(st.sampled_from([*[sign] * 9, "+", "++", "~"])) for sign in usual]
    given = [f"{sign}{key}={value}" for sign, key, value in zip(signs, keys, values, strict=True)]
    return [*(override for override in SHORT if override.split("=")[0] not in keys), *given]


def fault(run: CommandResult) -> str | None:
    """What is wrong with how a command ended, None if nothing is."""
    if run.status == 0:
        return None if list(run.folder.rglob("metrics.json")) or "default_root_dir" in str(run) else "no metrics.json"
    if "Traceback" in run.err:
        return "a traceback"
    if run.status != 1 or not run.last_line.startswith("error: "):
        return "no line"
    return None if re.search(";|use |needs ", run.last_line) else "no remedy"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "examples", [pytest.param(12, marks=pytest.mark.further), pytest.param(500, marks=pytest.mark.slow)]
)
def test_any_configuration_ends_in_a_run_or_in_one_clear_line(
    command: Command, examples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # for directories that are given as relative ones

    # The same examples each time, none of them made smaller.
    @settings(max_examples=examples, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(overrides())
    def ends_well(given_overrides: list[str]) -> None:
        run = command(*given_overrides)
        assert fault(run) is None, (given_overrides, run.err)

    ends_well()
