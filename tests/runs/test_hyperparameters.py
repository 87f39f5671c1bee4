"""TensorBoard's HParams: every column of any runs is sorted and filtered, as by its page; and `hparams.yaml`."""

import inspect
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import NoneType
from typing import Any, get_args
from urllib.request import Request, urlopen

import events
import pytest
import torch
from conftest import NO_FIGURES, SRC, Command, CommandResult
from lightning.pytorch import Trainer, callbacks
from omegaconf import OmegaConf
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from xornet.cli.annotations import annotations
from xornet.engine.optimizers import NOT_ELEMENTWISE
from xornet.runs.hyperparameters import NUMBERS, hparams_row, is_number
from xornet.runs.settings import flatten

RUNS = (
    ("optimizer=adam", "optimizer.lr=0.1", "trainer.max_epochs=1000", "seed=1"),  # solves the table
    ("model.compile=false", "model.init=0.5", "+x=1", "trainer.max_time=00:00:01:00", "model.hidden=[]"),
    ("+x=a", "optimizer.nesterov=true", "optimizer.momentum=0.9", "model.tolerance=1e-1", "~callbacks.progress_bar"),
    ("+x=[1, 2]", "trainer.max_epochs=-1", "trainer.max_steps=3", "optimizer=adam", "optimizer.betas=[0.5,0.9]"),
    ("+x='größe'", "networks=3", "trainer.precision=64-true", "question='What is \"x\"?'"),
    (r"+x='C:\\a'", "model.compile=auto", "optimizer.lr=2", "optimizer.foreach=null"),
    ("+x=null", "data.bits=3", "model.activation=tanh", "optimizer.lr=0.5", "optimizer.momentum=1"),
)


def post(address: str, body: dict[str, Any]) -> Any:
    """What TensorBoard's server answers."""
    request = Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.further
def test_tensorboard_sorts_and_filters_the_hyperparameters_and_results_of_any_runs(command: Command) -> None:
    runs = [command("trainer.max_epochs=3", "callbacks.gradient_monitor=null", *NO_FIGURES, *given) for given in RUNS]
    assert [run.status for run in runs] == [0] * len(RUNS), runs[-1].err
    with events.serving(runs[0].folder.parent) as (_, address):
        hparams = f"{address}data/plugin/hparams"
        experiment = post(f"{hparams}/experiment", {"experimentName": ""})
        statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]

        def shown(*columns: dict[str, Any]) -> list[dict[str, Any]]:
            body = {"experimentName": "", "allowedStatuses": statuses, "colParams": columns, "sliceSize": 99}
            body["includeMetrics"] = any("metric" in column for column in columns)
            groups: list[dict[str, Any]] = post(f"{hparams}/session_groups", body)["sessionGroups"]
            return groups

        # what the page asks for when it opens: every column, each filtered by all of its values
        whole = []
        for info in experiment["hparamInfos"]:
            if "domainInterval" in info:
                interval = info["domainInterval"]
                ends = {"minValue": interval.get("minValue", 0), "maxValue": interval.get("maxValue", 0)}
                whole.append({"hparam": info["name"], "filterInterval": ends})
            else:
                whole.append({"hparam": info["name"], "filterDiscrete": info["domainDiscrete"]})
        assert len(shown(*whole)) == len(RUNS)

        by_key = {info["name"]: info for info in experiment["hparamInfos"]}
        assert {"x", "model.compile", "model.init", "trainer.max_time", "optimizer.betas"} <= by_key.keys()
        for key, info in by_key.items():
            assert info["type"] == ("DATA_TYPE_FLOAT64" if is_number(key) else "DATA_TYPE_STRING"), key
            values = [group["hparams"].get(key) for group in shown({"hparam": key, "order": "ORDER_ASC"})]
            there = [value for value in values if value is not None]
            assert there == sorted(there)
            assert values[len(there) :] == [None] * (len(RUNS) - len(there))
            back = [group["hparams"].get(key) for group in shown({"hparam": key, "order": "ORDER_DESC"})]
            assert [value for value in back if value is not None] == there[::-1]
            one = {"hparam": key, "excludeMissingValues": True}
            if info["type"] == "DATA_TYPE_STRING":
                kept = shown({**one, "filterRegexp": f"^{re.escape(there[0])}$"})
            else:
                kept = shown({**one, "filterInterval": {"minValue": there[0], "maxValue": there[0]}})
            assert [group["hparams"][key] for group in kept] == [there[0]] * there.count(there[0])

        results = {info["name"]["tag"]: info["name"] for info in experiment["metricInfos"]}
        for tag in ("final/loss", "final/solved", "final/solved_epoch", "train/loss"):
            groups = shown({"metric": results[tag], "order": "ORDER_DESC", "filterInterval": {"maxValue": 9e9}})
            metrics = [metric for group in groups for metric in group["metricValues"]]
            values = [metric["value"] for metric in metrics if metric["name"]["tag"] == tag]
            assert values == sorted(values, reverse=True)
            assert len(groups) == len(RUNS)
            assert (len(values) == len(RUNS)) == (tag != "final/solved_epoch")  # where it was never solved, none


@pytest.mark.further
def test_a_run_that_is_extended_where_it_was_has_the_row_of_its_end(command: Command) -> None:
    settings = ("optimizer=adam", "optimizer.lr=0.1", "seed=1", *NO_FIGURES)
    run = command(*settings, "trainer.max_epochs=3")
    last = f"ckpt_path={run.folder}/checkpoints/last.ckpt"
    command(*settings, "trainer.max_epochs=600", last, f"hydra.run.dir={run.folder}")
    log = events.read(run.folder)
    row = HParamsPluginData.FromString(log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    assert row.session_start_info.hparams["trainer.max_epochs"].number_value == 600
    solved = [(event.step, event.value) for event in log.Scalars("final/solved")]
    assert solved == [(600, 1)]
    assert len(list(run.folder.glob("events.out.tfevents.*.hparams-row"))) == 1


@pytest.mark.further
def test_an_extension_that_fails_leaves_no_row_of_the_part_before(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("seed=1", *NO_FIGURES)
    run = command(*settings, "trainer.max_epochs=3")
    assert list(run.folder.glob("events*.hparams-row"))

    def fail(*_: Any) -> None:
        raise OSError("no space")

    monkeypatch.setattr("xornet.callbacks.checkpoint.LastCheckpoint.on_train_end", fail)
    last = f"ckpt_path={run.folder}/checkpoints/last.ckpt"
    assert command(*settings, "trainer.max_epochs=1500", last, f"hydra.run.dir={run.folder}").status == 1
    assert not list(run.folder.glob("events*.hparams-row"))


def test_a_suffix_of_ones_own_loses_no_event_file(command: Command) -> None:
    run = command("trainer.max_epochs=3", "+logger.tensorboard.filename_suffix=.hparams", *NO_FIGURES)
    assert list(events.scalar(run.folder, "train/loss")) == [0, 1, 2]


def test_a_row_without_results_is_refused(command: Command) -> None:
    run = command("logger.tensorboard.default_hp_metric=true", "trainer.max_epochs=3")
    assert run.status == 1
    assert "logger.tensorboard.default_hp_metric=true would log a result of -1; drop it" in run.last_line
    assert "Traceback" not in run.err


def test_the_type_of_a_hyperparameter_hangs_on_its_key_alone() -> None:
    values = [1, 0.5, True, "False", None, "1", "a", [1, 2], {"a": 1}, "nan", float("inf"), "größe", 'say "x"']
    rows = [hparams_row({"model.init": value, "x": value}) for value in values]
    assert {type(row["model.init"]) for row in rows if "model.init" in row} == {float}
    assert [row["x"] for row in rows[:8]] == ["1", "0.5", "true", "false", "null", "1", "a", "[1, 2]"]
    for row in rows:  # TensorBoard filters by what JSON makes of a text
        assert json.dumps(row["x"]) == f'"{row["x"]}"'
    assert len({row["x"] for row in rows}) == len(rows) - 1  # 1 and "1"


def arguments() -> Iterator[tuple[str, Any]]:
    """The keys of what can be configured, with their defaults, or with a number or a text of an annotated type."""
    schedulers = torch.optim.lr_scheduler
    of = (
        ("optimizer", torch.optim, torch.optim.Optimizer, NOT_ELEMENTWISE),
        ("scheduler", schedulers, schedulers.LRScheduler, ("LambdaLR",)),
    )
    for group, module, base, refused in of:
        for name, kind in vars(module).items():
            if inspect.isclass(kind) and issubclass(kind, base) and name not in refused:
                for key, parameter in inspect.signature(kind).parameters.items():
                    yield f"{group}.{key}", parameter.default
    stock = (callbacks.ModelCheckpoint, callbacks.EarlyStopping)
    for prefix, kind in (("trainer", Trainer), *((f"callbacks.{one.__name__}", one) for one in stock)):
        for key, hint in annotations(kind).items():
            kinds = {*(get_args(hint) or [hint])} - {NoneType, timedelta, None}
            yield f"{prefix}.{key}", 1 if kinds and kinds <= {int, float} else "text"
    for path in (SRC.parent / "conf").rglob("*.yaml"):
        for key, value in flatten(OmegaConf.load(path)).items():
            if not key.startswith(("hydra", "units")):  # of Hydra, and what an experiment computes with
                yield (f"{path.parent.name}.{key}" if path.parent.name in NUMBERS else key), value


REFUSED = {"num_nodes", "gradient_clip_val", "accumulate_grad_batches", "overfit_batches", "limit_train_batches"}
REFUSED |= {"limit_test_batches", "limit_predict_batches"}  # numbers of which only one can be used


def test_a_column_holds_numbers_where_the_argument_is_one() -> None:
    left_out = REFUSED | {"last_epoch", "minimum_iters", "devices", "version"}  # never given, or also a word
    numbers = {key for key, value in arguments() if type(value) in (int, float)}
    words = {key for key, value in arguments() if type(value) in (bool, str) and "${" not in str(value)}
    assert {key for key in numbers if not is_number(key) and key.rpartition(".")[2] not in left_out} == set()
    assert {key for key in words if is_number(key)} == set()


def test_a_text_that_an_argument_of_ones_own_takes_is_in_the_row() -> None:
    known = {"data.init": "xavier", "callbacks.mine.power": "high", "data.threshold": "auto"}
    assert hparams_row(known) == known


@pytest.mark.parametrize(("logger", "where"), [("tensorboard", "hparams.yaml"), ("csv", "csv/hparams.yaml")])
@pytest.mark.filterwarnings("ignore:Experiment logs directory")
@pytest.mark.further
def test_the_file_of_hyperparameters_is_that_of_the_last_run_that_began(
    command: Command, tmp_path: Path, logger: str, where: str
) -> None:
    folder = tmp_path / "run"
    short = ("callbacks.gradient_monitor=null", *NO_FIGURES, f"logger={logger}")

    def run_in(*overrides: str, folder: Path = folder) -> tuple[CommandResult, Any]:
        run = command("trainer.max_epochs=3", *short, f"hydra.run.dir={folder}", *overrides)
        return run, OmegaConf.to_container(OmegaConf.load(folder / where))

    run, first = run_in("optimizer.momentum=0.5", "model.hidden=[3,2]")
    assert run.status == 0
    assert first["optimizer"] == "SGD"
    assert (first["optimizer.lr"], first["optimizer.momentum"], first["optimizer.foreach"]) == (0.1, 0.5, False)
    assert (first["model.hidden"], first["model.init"], first["data.bits"]) == ([3, 2], None, 2)
    assert (first["seed"], first["networks"], first["trainer.max_epochs"]) == (452582093, 1, 3)

    # another run in the same directory, with nothing of the first
    run, second = run_in("optimizer=adam", "optimizer.betas=[0.5,0.9]")
    assert run.status == 0
    assert (second["optimizer"], second["optimizer.lr"], second["optimizer.betas"]) == ("Adam", 0.01, [0.5, 0.9])
    assert "optimizer.momentum" not in second

    # refused, once because it differs and once because it is over: all stays as it is
    checkpoint = f"ckpt_path={folder}/checkpoints/last.ckpt"
    written = (folder / where).stat().st_mtime_ns
    assert run_in(checkpoint)[0].status == 1
    assert run_in(checkpoint, "optimizer=adam", "optimizer.betas=[0.5,0.9]", "trainer.max_epochs=2")[0].status == 1
    assert (folder / where).stat().st_mtime_ns == written

    # resumed at its end, elsewhere, without a further epoch
    run, third = run_in(checkpoint, "optimizer=adam", "optimizer.betas=[0.5,0.9]", folder=tmp_path / "other")
    assert run.status == 0, run.err
    assert (third["optimizer"], third["optimizer.betas"]) == ("Adam", [0.5, 0.9])

    # failed on the way
    run, fourth = run_in(
        "optimizer.lr=0.7", "optimizer.momentum=2", "trainer.max_epochs=500", "callbacks.loss_table.every_n_epochs=10"
    )
    assert run.status == 1
    assert fourth["optimizer.lr"] == 0.7
