"""The table of a run: whole when its checkpoint is, and every row once when it is resumed."""

import csv
from pathlib import Path
from typing import Any

import events
import pytest
from conftest import NO_FIGURES, Command, fit
from lightning.pytorch import Callback, Trainer

from xornet.callbacks.gradient_monitor import GradientMonitor
from xornet.callbacks.metrics import Metrics
from xornet.data import XORDataModule
from xornet.module import XORModule
from xornet.runs.csv_logger import CSVLogger

CSV = [
    *NO_FIGURES,
    "logger=csv",
    "callbacks.gradient_monitor.every_n_epochs=7",
    "callbacks.checkpoint.every_n_epochs=10",
    "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor",
    "+callbacks.rate.logging_interval=epoch",
]


def table(folder: Path) -> str:
    """The whole of a run's table."""
    return (folder / "csv" / "metrics.csv").read_text()


def by_step(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows in the order of their steps, those of one step in the order of what they hold."""
    return sorted(rows, key=lambda row: (int(row["step"]), [name for name, cell in row.items() if cell]))


def test_a_run_that_is_resumed_in_its_directory_has_the_table_of_a_straight_one(
    command: Command, tmp_path: Path
) -> None:
    straight, folder = command(*CSV, "trainer.max_epochs=50").folder, tmp_path / "parts"
    last = f"ckpt_path={folder}/checkpoints/last.ckpt"
    command(*CSV, "trainer.max_epochs=23", f"hydra.run.dir={folder}")
    # as if it had been killed in the midst of a row, long after its last checkpoint
    names = table(folder).splitlines()[0].split(",")
    rows = [",".join(str(step) if name == "step" else "9" for name in names) for step in range(23, 30)]
    (folder / "csv" / "metrics.csv").write_text(table(folder) + "\n".join([*rows, "9,3"]))
    assert command(*CSV, "trainer.max_epochs=40", f"hydra.run.dir={folder}", last).status == 0
    assert command(*CSV, "trainer.max_epochs=50", f"hydra.run.dir={folder}", last).status == 0
    ours, theirs = ([dict(row) for row in csv.DictReader(table(where).splitlines())] for where in (folder, straight))
    assert by_step(ours) == by_step(theirs)
    for name, steps in (
        ("train/loss", range(50)),
        ("update/gradient_norm/hidden", range(0, 50, 7)),
        ("lr-SGD", range(50)),
    ):
        assert sorted(int(row["step"]) for row in ours if row[name]) == list(steps), name
    ratios = [int(row["step"]) for row in ours if row["update/ratio/output"]]
    assert ratios == list(range(6, 50, 7))


@pytest.mark.further
def test_tensorboard_gets_the_curve_of_a_part_that_has_logged_elsewhere(command: Command, tmp_path: Path) -> None:
    where = [*NO_FIGURES, "callbacks.gradient_monitor=null", f"hydra.run.dir={tmp_path}/run"]
    last = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    assert command(*where, "trainer.max_epochs=10").status == 0
    assert command(*where, "trainer.max_epochs=20", "logger=csv", last).status == 0
    assert command(*where, "trainer.max_epochs=25", "trainer.logger=false", last).status == 0
    assert command(*where, "trainer.max_epochs=30", last).status == 0
    straight = command(*where[:-1], "trainer.max_epochs=30").folder
    assert events.scalar(tmp_path / "run", "train/loss") == events.scalar(straight, "train/loss")
    assert list(events.scalar(straight, "train/loss")) == list(range(30))


def test_a_run_with_its_checkpoints_elsewhere_keeps_its_table_too(command: Command, tmp_path: Path) -> None:
    elsewhere = [*CSV, f"callbacks.checkpoint.dirpath={tmp_path}/kept", f"hydra.run.dir={tmp_path}/run"]
    assert command(*elsewhere, "trainer.max_epochs=23").status == 0
    assert command(*elsewhere, "trainer.max_epochs=50", f"ckpt_path={tmp_path}/kept/last.ckpt").status == 0
    rows = list(csv.DictReader(table(tmp_path / "run").splitlines()))
    for name, steps in (("train/loss", range(50)), ("update/gradient_norm/hidden", range(0, 50, 7))):
        assert sorted(int(row["step"]) for row in rows if row[name]) == list(steps), name


@pytest.mark.further
def test_a_run_that_begins_anew_begins_its_table_anew_and_a_refused_one_leaves_it(
    command: Command, tmp_path: Path
) -> None:
    once, fresh = [*CSV, f"hydra.run.dir={tmp_path}/once"], [*CSV, "trainer.max_epochs=20"]
    command(*once, "trainer.max_epochs=30", "networks=2")
    before = table(tmp_path / "once")
    last = f"ckpt_path={tmp_path}/once/checkpoints/last.ckpt"
    for refused in ("optimizer.lr=0.5", "trainer.max_epochs=10"):
        assert command(*once, "networks=2", last, refused).status == 1
        assert table(tmp_path / "once") == before
    assert command(*once, "trainer.max_epochs=20").status == 0
    assert table(tmp_path / "once") == table(command(*fresh).folder)


@pytest.mark.further
def test_what_an_earlier_part_has_logged_elsewhere_is_in_the_table(command: Command, tmp_path: Path) -> None:
    where = [*NO_FIGURES, "callbacks.gradient_monitor=null", f"hydra.run.dir={tmp_path}/run"]
    last = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    command(*where, "trainer.max_epochs=10")  # into TensorBoard
    command(*where, "trainer.max_epochs=20", "logger=csv", last)
    command(*where, "trainer.max_epochs=30", last)
    command(*where, "trainer.max_epochs=40", "logger=csv", last)
    rows = list(csv.DictReader(table(tmp_path / "run").splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(41))
    assert [int(row["step"]) for row in rows if row["train/loss"]] == list(range(40))
    assert [int(row["step"]) for row in rows if row["final/loss"]] == [40]


@pytest.mark.further
def test_a_run_made_longer_logs_its_later_part_at_the_epochs_of_a_straight_one(
    command: Command, tmp_path: Path
) -> None:
    def logged(folder: Path, name: str) -> list[int]:
        return [int(row["step"]) for row in csv.DictReader(table(folder).splitlines()) if row[name]]

    often = [*NO_FIGURES, "logger=csv", "callbacks.gradient_monitor.every_n_epochs=1"]
    straight, folder = command(*often, "trainer.max_epochs=2100").folder, tmp_path / "run"
    command(*often, "trainer.max_epochs=1000", f"hydra.run.dir={folder}")
    command(*often, "trainer.max_epochs=2100", f"hydra.run.dir={folder}", f"ckpt_path={folder}/checkpoints/last.ckpt")
    for name in ("train/loss", "update/gradient_norm/hidden"):
        assert logged(straight, name)[:100] == list(range(0, 1000, 10))
        assert logged(folder, name)[:1000] == list(range(1000))
        assert logged(folder, name)[1000:] == logged(straight, name)[100:]


def test_rows_are_appended_until_there_is_a_new_column(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path), flush_logs_every_n_steps=2)
    logger.log_metrics({"b": 1.5}, 0)
    assert not logger.path.exists()
    logger.log_metrics({"b": 2.5}, 1)
    first = logger.path.stat().st_ino
    logger.log_metrics({"b": 3.5}, 3)
    assert logger.path.stat().st_ino == first
    logger.log_metrics({"a": 4.5}, 5)
    assert logger.path.read_text().split() == ["a,b,step", ",1.5,0", ",2.5,1", ",3.5,3", "4.5,,5"]


def test_a_table_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path))
    logger.path.parent.mkdir()
    logger.path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"metrics\.csv has a row without a step; move it away, or use another"):
        logger.resume({"global_step": 10})


def test_in_python_nothing_that_a_table_holds_is_lost(tmp_path: Path) -> None:
    """An evaluation adds its row, and a resumed run the epochs that follow, each in a Trainer of its own."""

    def make() -> Trainer:
        quiet: dict[str, Any] = {"enable_checkpointing": False, "enable_progress_bar": False, "log_every_n_steps": 1}
        how: dict[str, Any] = {"logger": CSVLogger(str(tmp_path)), "callbacks": [Metrics()], **quiet}
        return Trainer(max_epochs=20, accelerator="cpu", enable_model_summary=False, **how)

    make().fit(module := XORModule(), XORDataModule())
    make().test(module, XORDataModule(), verbose=False)
    rows = list(csv.DictReader(table(tmp_path).splitlines()))
    assert [int(row["step"]) for row in rows if row["train/loss"]] == list(range(20))
    assert len([row for row in rows if row["test/loss"]]) == 1


def test_a_run_that_goes_back_to_a_checkpoint_logs_what_follows_again(tmp_path: Path) -> None:
    class Lower(Callback):
        """Lowers the learning rate at epoch 20, once it is switched on."""

        every_n_epochs, is_on = 20, False

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if self.is_on and trainer.current_epoch == 20:
                trainer.optimizers[0].param_groups[0]["lr"] = 0.0

    lower, logger = Lower(), CSVLogger(str(tmp_path))
    how: dict[str, Any] = {"logger": logger, "log_every_n_steps": 1}
    trainer, module = fit(tmp_path, 20, [Metrics(), GradientMonitor(10), lower], trainer=how)
    trainer.save_checkpoint(path := tmp_path / "early.ckpt")
    trainer.fit_loop.max_epochs = 40
    trainer.fit(module, XORDataModule())
    lower.is_on = True
    trainer.fit(module, XORDataModule(), ckpt_path=path, weights_only=True)
    rows = list(csv.DictReader(table(tmp_path).splitlines()))
    for name, steps in (("train/loss", range(20, 40)), ("update/ratio/output", (29, 39))):
        logged = [float(row[name]) for row in rows if row[name] and int(row["step"]) in steps]
        first, again = logged[: len(logged) // 2], logged[len(logged) // 2 :]
        assert len(again) == len(steps)
        assert again != first
    losses = module.history.curve["losses"][20:, 1]
    assert [float(row["train/loss"]) for row in rows if row["train/loss"]][-20:] == pytest.approx(losses.tolist())
