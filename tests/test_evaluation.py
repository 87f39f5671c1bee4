"""XORModule in a notebook: defaults, DataLoaders, validate, test, predict and load_from_checkpoint."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from oracle import X, Y, train_sheet
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from xornet.batches import same_points
from xornet.checkpoint import CheckpointFile
from xornet.data import XORDataModule
from xornet.engine.scores import percent, wilson
from xornet.module import XORModule
from xornet.runs.compare import load
from xornet.runs.metrics import evaluate

ADAM = partial(torch.optim.Adam, lr=0.05)


def trainer(folder: Path, epochs: int = 1, *callbacks: Callback, **more: Any) -> Trainer:
    """A Trainer as in a notebook, without what it prints."""
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "logger": False}
    kept = {"enable_checkpointing": any(isinstance(callback, ModelCheckpoint) for callback in callbacks)}
    return Trainer(max_epochs=epochs, default_root_dir=folder, callbacks=[*callbacks], **{**quiet, **kept, **more})


def inputs(x: Tensor) -> "DataLoader[Any]":
    rows: Any = x  # as a dataset
    return DataLoader(rows, batch_size=len(x))


def loader(x: Tensor = X, y: Tensor = Y, **more: Any) -> "DataLoader[Any]":
    return DataLoader(TensorDataset(x, y), **{"batch_size": len(x), **more})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[XORModule, Path]:
    """30 networks after 300 epochs of Adam, of which some solve the table, and their checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    module = XORModule(ADAM, networks=30, hidden=[3])
    run = trainer(folder, 300)
    run.fit(module, XORDataModule())
    run.save_checkpoint(folder / "trained.ckpt")
    return module, folder / "trained.ckpt"


def predictions(found: Any) -> Tensor:
    """The one batch of `Trainer.predict`."""
    (batch,) = found
    assert isinstance(batch, Tensor)
    return batch


def oracle(module: XORModule, x: Tensor, y: Tensor) -> dict[str, float]:
    """The numbers of `Trainer.test`, network by network through a plain XORNet."""
    with torch.no_grad():
        errors = torch.stack([module.ensemble.network(i)(x) - y for i in range(len(module.ensemble))])
    losses = errors.square().mean((1, 2)).double()
    solved = int((errors.abs() < 0.5).all(2).all(1).sum())
    low, high = wilson(solved, len(losses))
    return {
        "loss": losses.quantile(0.5).item(),
        "loss_q10": losses.quantile(0.1).item(),
        "loss_q90": losses.quantile(0.9).item(),
        "accuracy": (errors.abs() < 0.5).double().mean().item(),
        "solved": solved / len(losses),
        "solved_low": low,
        "solved_high": high,
    }


def test_a_module_with_defaults_is_the_sheet(tmp_path: Path) -> None:
    module = XORModule()
    run = trainer(tmp_path, 2000)
    run.fit(module, XORDataModule())
    sheet, losses, _ = train_sheet(2000, seed=0)
    assert run.current_epoch == 2000
    torch.testing.assert_close(module(X)[..., 0], sheet(X), rtol=0, atol=1e-5)
    assert run.callback_metrics["train/loss"].item() == pytest.approx(losses[-1], abs=1e-6)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_data_loader_trains_as_the_data_module_does(tmp_path: Path, shuffle: bool) -> None:
    one, other = XORModule(ADAM), XORModule(ADAM)
    trainer(tmp_path, 200).fit(one, XORDataModule())
    trainer(tmp_path, 200).fit(other, train_dataloaders=loader(shuffle=shuffle))
    torch.testing.assert_close(other(X), one(X), rtol=0, atol=0)


def test_a_run_on_a_shuffled_table_resumes_in_its_order_to_the_same_bits(tmp_path: Path) -> None:
    torch.manual_seed(1)
    straight, first, resumed = XORModule(ADAM), XORModule(ADAM), XORModule(ADAM)
    start = torch.get_rng_state()
    trainer(tmp_path, 60).fit(straight, train_dataloaders=loader(shuffle=True))
    torch.set_rng_state(start)
    part = trainer(tmp_path, 30)
    part.fit(first, train_dataloaders=loader(shuffle=True))
    part.save_checkpoint(tmp_path / "part.ckpt")
    for _ in range(3):  # in one of them the order is another
        trainer(tmp_path, 60).fit(
            resumed, train_dataloaders=loader(shuffle=True), ckpt_path=tmp_path / "part.ckpt", weights_only=True
        )
        assert torch.equal(resumed(X), straight(X))


class Centred(DataLoader[Any]):
    """A loader that changes what it serves."""

    def __iter__(self) -> Any:
        return ((2 * x - 1, y) for x, y in super().__iter__())


@pytest.mark.parametrize(
    "data",
    [
        Centred(TensorDataset(X, Y), 4, shuffle=True),
        DataLoader(TensorDataset(torch.cat([X, X + 5]), torch.cat([Y, Y])), 8, sampler=RandomSampler(range(4))),
        DataLoader(TensorDataset(X, Y), 4, sampler=RandomSampler(TensorDataset(X, Y), num_samples=4)),
    ],
    ids=["a loader of one's own", "a sampler of a part", "a sampler of another dataset"],
)
def test_what_a_loader_of_ones_own_serves_is_what_is_trained_on(tmp_path: Path, data: "DataLoader[Any]") -> None:
    module = XORModule(ADAM)
    trainer(tmp_path, 20).fit(module, train_dataloaders=data)
    assert same_points((module.x, module.y), next(iter(data)))


def test_any_table_of_one_batch_can_be_learned(tmp_path: Path) -> None:
    x, y = torch.tensor([[0.0, 0.5, 1], [1, 0, 0.25], [0.5, 0.5, 0.5]]), torch.tensor([[0.2], [0.9], [0.4]])
    module = XORModule(ADAM, bits=3)
    trainer(tmp_path, 2000).fit(module, train_dataloaders=loader(x, y))
    torch.testing.assert_close(module(x)[..., 0], y, rtol=0, atol=1e-3)
    assert evaluate(module)["predictions"] == pytest.approx(y.flatten().tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (loader(batch_size=2), r"must be one batch, the whole table, got several; use DataLoader\(TensorDataset"),
        (
            loader(y=Y[:, 0]),
            r"a batch must be x \(P, I\) and y \(P, 1\), got \[\(4, 2\), \(4,\)\]; use y\[:, None\], a column",
        ),
        (inputs(X), r"a batch must be x \(P, I\) and y \(P, 1\), got Tensor; use DataLoader"),
        (
            loader(torch.ones(2, 3), torch.ones(2, 1)),
            r"model.bits=2, but the table has 3 inputs; use data.bits alone, or in",
        ),
    ],
)
def test_data_that_are_not_a_table_are_refused_in_one_line(tmp_path: Path, data: "DataLoader[Any]", line: str) -> None:
    with pytest.raises(ValueError, match=line):
        trainer(tmp_path).fit(XORModule(), train_dataloaders=data)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (loader(batch_size=1), "data must be one batch, the whole table, got several; use DataLoader"),
        (
            loader(y=Y[:, 0]),
            r"a batch must be x \(P, I\) and y \(P, 1\), got \[\(4, 2\), \(4,\)\]; use y\[:, None\], a column",
        ),
        (loader(x=X / 0), "a table must hold finite numbers, got nan or inf; use data without them"),
        (loader(y=torch.cat([Y, Y], 1)), r"y \(P, 1\), got \[\(4, 2\), \(4, 2\)\]; use one output for each run"),
        (
            loader(torch.ones(2, 3), torch.ones(2, 1)),
            "model.bits=2, but the table has 3 inputs; use data.bits",
        ),
    ],
)
def test_data_that_are_not_a_table_are_not_evaluated(tmp_path: Path, data: "DataLoader[Any]", line: str) -> None:
    for evaluate_on in (trainer(tmp_path).test, trainer(tmp_path).validate):
        with pytest.raises(ValueError, match=line):
            evaluate_on(XORModule(), data, verbose=False)


def test_a_list_and_a_tuple_are_the_same_network_and_the_same_optimizer(tmp_path: Path) -> None:
    def module(kind: type) -> XORModule:
        return XORModule(partial(torch.optim.Adam, lr=0.01, betas=kind([0.9, 0.99])), hidden=kind([4]))

    for one, other in ((list, tuple), (tuple, list)):
        run = trainer(tmp_path, 20)
        run.fit(first := module(one), XORDataModule())
        run.save_checkpoint(tmp_path / "run.ckpt")
        again = module(other)
        trainer(tmp_path).test(again, XORDataModule(), tmp_path / "run.ckpt", verbose=False)
        assert torch.equal(again.predictions(), first.predictions())
        longer = trainer(tmp_path, 30)
        longer.fit(module(other), XORDataModule(), ckpt_path=tmp_path / "run.ckpt")
        assert longer.current_epoch == 30


def test_validate_test_and_predict_give_what_the_networks_do(trained: tuple[XORModule, Path], tmp_path: Path) -> None:
    module, checkpoint = trained
    expected = oracle(module, X, Y)
    assert 0 < expected["solved"] < 1
    for shown in (
        {"model": module},
        {"model": XORModule.load_from_checkpoint(checkpoint)},
        {"model": XORModule(networks=30, hidden=[3]), "ckpt_path": checkpoint},
    ):
        run = trainer(tmp_path, plugins=[CheckpointFile()])
        for data in ({"datamodule": XORDataModule()}, {"dataloaders": loader()}):
            (val,) = run.validate(**shown, **data, verbose=False)
            assert val == pytest.approx({f"val/{name}": value for name, value in expected.items()}, abs=1e-6)
            (test,) = run.test(**shown, **data, verbose=False)
            assert test == pytest.approx({f"test/{name}": value for name, value in expected.items()}, abs=1e-6)
            assert run.callback_metrics["test/loss"].item() == pytest.approx(expected["loss"], abs=1e-6)
            predicted = predictions(run.predict(**shown, **data))
            assert predicted.shape == (4, 1, 30)
            assert torch.equal(predicted, module(X))


def test_other_data_than_the_table_of_the_run_can_be_tested_and_predicted(
    trained: tuple[XORModule, Path], tmp_path: Path
) -> None:
    module, _ = trained
    x, y = torch.tensor([[0.1, 0.9], [0.8, 0.7]]), torch.tensor([[1.0], [0.0]])
    (test,) = trainer(tmp_path).test(module, loader(x, y), verbose=False)
    expected = oracle(module, x, y)
    assert test == pytest.approx({f"test/{name}": value for name, value in expected.items()}, abs=1e-6)
    assert torch.equal(predictions(trainer(tmp_path).predict(module, inputs(x))), module(x))


def test_a_loaded_module_shows_and_trains_on_with_the_runs_optimizer_and_scheduler(tmp_path: Path) -> None:
    cosine = partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=400)
    module, run = XORModule(ADAM, cosine, tolerance=0.4), trainer(tmp_path, 100)
    run.fit(module, XORDataModule())
    run.save_checkpoint(tmp_path / "run.ckpt")
    loaded = XORModule.load_from_checkpoint(tmp_path / "run.ckpt")
    assert torch.equal(loaded.predictions(), module.predictions())
    assert evaluate(loaded) == evaluate(module) == evaluate(load(str(tmp_path / "run.ckpt"))[0])

    fresh = XORModule(ADAM, cosine, tolerance=0.4)
    fresh.load_state_dict(module.state_dict())
    for each in (loaded, fresh):
        again = trainer(tmp_path, 100)
        again.fit(each, XORDataModule())
        (optimizer,) = again.optimizers
        assert type(optimizer) is torch.optim.Adam
        assert optimizer.param_groups[0]["initial_lr"] == 0.05
        assert len(again.lr_scheduler_configs) == 1
        assert each.history.curve["epochs"].tolist() == list(range(100))  # a run of its own
    assert torch.equal(loaded.predictions(), fresh.predictions())

    other = XORModule.load_from_checkpoint(tmp_path / "run.ckpt", optimizer=partial(torch.optim.SGD, lr=0.3))
    again = trainer(tmp_path, 5)
    again.fit(other, XORDataModule())
    assert type(again.optimizers[0]) is torch.optim.SGD
    assert again.lr_scheduler_configs == []


def test_a_double_precision_run_is_loaded_and_tested_in_double_precision(tmp_path: Path) -> None:
    module, run = XORModule(ADAM), trainer(tmp_path, 50, precision="64-true")
    run.fit(module, XORDataModule())
    run.save_checkpoint(tmp_path / "run.ckpt")
    loaded = XORModule.load_from_checkpoint(tmp_path / "run.ckpt")
    for precision in ("32-true", "64-true"):
        predicted = predictions(trainer(tmp_path, precision=precision).predict(loaded, XORDataModule()))
        assert predicted.dtype == torch.float64
        assert torch.equal(predicted, module(X.double()))


@pytest.mark.parametrize(
    ("changed", "was"), [({"tolerance": 0.01}, 0.5), ({"activation": "relu"}, "sigmoid"), ({"seed": 9}, 0)], ids=str
)
def test_a_checkpoint_is_not_loaded_with_what_would_make_its_history_another(
    trained: tuple[XORModule, Path], changed: dict[str, Any], was: object
) -> None:
    """When a network solved the table depends on the tolerance; that of the run would be told as that of the module."""
    ((name, value),) = changed.items()
    with pytest.raises(ValueError, match=f"{name}={value}, but .* were trained with {name}={was}; drop it"):
        XORModule.load_from_checkpoint(trained[1], **changed)
    XORModule.load_from_checkpoint(trained[1], gradient="autograd", compile=False)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_networks_of_another_precision_than_the_trainers_are_not_rounded_in_silence(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    module = XORModule().to(dtype)
    with pytest.raises(ValueError, match=rf"are {dtype}, but trainer\.precision=32-true trains torch\.float32; use "):
        trainer(tmp_path, 5).fit(module, XORDataModule())
    assert module.ensemble.weights[0].dtype == dtype
    trainer(tmp_path, 5).fit(module.float(), XORDataModule())
    trainer(tmp_path, 5, precision="64-true").fit(module, XORDataModule())
    assert module.ensemble.weights[0].dtype == torch.float64


def test_other_networks_than_those_of_a_checkpoint_are_not_evaluated(trained: tuple[XORModule, Path]) -> None:
    _, checkpoint = trained
    with pytest.raises(ValueError, match="holds networks with activation=sigmoid, but the module has activation=tanh"):
        trainer(checkpoint.parent).test(XORModule(networks=30, hidden=[3], activation="tanh"), loader(), checkpoint)


def test_an_optimizer_from_elsewhere_must_be_given_again(tmp_path: Path) -> None:
    class Own(torch.optim.SGD):
        pass

    module, run = XORModule(partial(Own, lr=0.1)), trainer(tmp_path, 5)
    run.fit(module, XORDataModule())
    run.save_checkpoint(tmp_path / "run.ckpt")
    loaded = XORModule.load_from_checkpoint(tmp_path / "run.ckpt")
    assert torch.equal(loaded.predictions(), module.predictions())
    with pytest.raises(ValueError, match=r"not of torch\.optim; use load_from_checkpoint\(path, optimizer=\.\.\.\)"):
        trainer(tmp_path).fit(loaded, XORDataModule())


@pytest.mark.parametrize(("networks", "every"), [(1, 1), (3, 7)])
def test_callbacks_find_the_numbers_under_the_names_that_tensorboard_shows(
    tmp_path: Path, networks: int, every: int
) -> None:
    seen: list[dict[str, float]] = []

    class Read(Callback):
        every_n_epochs = every

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if (trainer.current_epoch + 1) % every == 0:
                seen.append({name: value.item() for name, value in trainer.callback_metrics.items()})

    module = XORModule(ADAM, networks=networks)
    trainer(tmp_path, 70, Read()).fit(module, XORDataModule())
    curve = module.history.curve
    alone = {f"train/prediction_{point}" for point in ("00", "01", "10", "11")}
    spread = {f"train/{name}" for name in ("loss_q10", "loss_q90", "solved_low", "solved_high")}
    assert set(seen[0]) == {"train/loss", "train/accuracy", "train/solved", *(alone if networks == 1 else spread)}
    for k, numbers in enumerate(seen):
        row = {name: values[(k + 1) * every - 1].tolist() for name, values in curve.items()}
        low, median, high = row["losses"]
        assert numbers["train/loss"] == pytest.approx(median, abs=1e-7)
        assert numbers["train/accuracy"] == pytest.approx(row["accuracy"], abs=1e-7)
        assert numbers["train/solved"] == pytest.approx(row["solved"], abs=1e-7)
        if networks == 1:
            predicted = [target + error for target, error in zip([0, 1, 1, 0], row["errors"], strict=True)]
            assert [numbers[name] for name in sorted(alone)] == pytest.approx(predicted, abs=1e-6)
        else:
            assert numbers["train/loss_q10"] == pytest.approx(low, abs=1e-7)
            assert numbers["train/loss_q90"] == pytest.approx(high, abs=1e-7)


def test_early_stopping_on_the_accuracy_stops_at_the_epoch_that_solves_the_table(tmp_path: Path) -> None:
    module = XORModule(ADAM)
    run = trainer(tmp_path, 2000, EarlyStopping("train/accuracy", mode="max", stopping_threshold=0.99, patience=2000))
    run.fit(module, XORDataModule())
    (solved,) = module.history.solved_epoch.tolist()
    assert run.current_epoch == solved + 1 < 2000  # the accuracy of an epoch is that before its update


class Validated(LightningDataModule):
    """Trains on XOR, and is validated on its first three points."""

    def train_dataloader(self) -> "DataLoader[Any]":
        return loader()

    def val_dataloader(self) -> "DataLoader[Any]":
        return loader(X[:3], Y[:3])


@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.parametrize(
    ("how", "epochs"),
    [
        ({"check_val_every_n_epoch": 20}, [19, 39, 59]),
        ({"check_val_every_n_epoch": 20, "num_sanity_val_steps": 0}, [19, 39, 59]),
        ({"check_val_every_n_epoch": None, "val_check_interval": 25}, [24, 49]),
    ],
)
def test_a_run_is_validated_at_the_epochs_that_the_trainer_says(
    tmp_path: Path, how: dict[str, Any], epochs: list[int]
) -> None:
    validated, plain = XORModule(ADAM), XORModule(ADAM)
    logger = CSVLogger(str(tmp_path), "", "")
    trainer(tmp_path, 60, logger=logger, **how).fit(validated, Validated())
    trainer(tmp_path, 60).fit(plain, XORDataModule())
    assert torch.equal(validated.predictions(), plain.predictions())  # validation changes nothing
    rows = [row.split(",") for row in (tmp_path / "metrics.csv").read_text().splitlines()]
    step, loss = rows[0].index("step"), rows[0].index("val/loss")
    assert [int(row[step]) for row in rows[1:]] == epochs
    for epoch, row in zip(epochs, rows[1:], strict=True):
        straight = XORModule(ADAM)
        trainer(tmp_path, epoch + 1).fit(straight, XORDataModule())
        expected = (straight(X[:3])[..., 0] - Y[:3]).square().mean().item()
        assert float(row[loss]) == pytest.approx(expected, abs=1e-6)


def test_the_data_module_validates_nothing_while_a_run_trains(tmp_path: Path) -> None:
    run = trainer(tmp_path, 30)
    run.fit(XORModule(), XORDataModule())
    assert [name for name in run.callback_metrics if name.startswith("val/")] == []


def test_a_trainer_can_continue(tmp_path: Path) -> None:
    module, straight, run = XORModule(), XORModule(), trainer(tmp_path, 50)
    run.fit(module, XORDataModule())
    run.fit_loop.max_epochs = 120
    run.fit(module, XORDataModule())
    trainer(tmp_path, 120).fit(straight, XORDataModule())
    assert torch.equal(module.predictions(), straight.predictions())
    assert module.history.curve["epochs"].tolist() == list(range(120))


def test_a_share_of_less_than_all_is_never_all() -> None:
    assert [percent(share) for share in (0, 0.5, 0.9994, 0.9999, 1)] == ["0.0%", "50.0%", "99.9%", "99.9%", "100.0%"]
    assert [percent(share, digits=0) for share in (0.75, 0.999, 1)] == ["75%", "99%", "100%"]
