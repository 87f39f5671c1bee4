import json
import re
import signal
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import events
import PIL.Image
import PIL.ImageSequence
import pytest
import torch
from conftest import NO_FIGURES, SRC, Command, CommandResult
from omegaconf import OmegaConf
from oracle import SheetNet, X, Y
from signalled import Signalled, printed

# The sheet's printed figures, and how far float32 rounding may carry an equivalent formula from them (epoch by epoch
# the plateau amplifies it): 6e-4 for losses, 6e-3 for predictions.
SHEET = """0.2595 0.2497 0.2492 0.2483 0.2458 0.2361 0.1899 0.0877 0.0361 0.0194
           0.0125 0.0089 0.0069 0.0055 0.0046 0.0039 0.0034 0.0030 0.0027 0.0024"""
PREDICTIONS = [0.0494, 0.9517, 0.9569, 0.0431]


def test_the_default_run_prints_the_sheet_and_leaves_what_it_promises(command: Command) -> None:
    run = command()
    assert run.status == 0
    rows = re.findall(r"^Epoch (\d+), Loss: (\d\.\d{4})$", run.out, re.M)
    assert [int(epoch) for epoch, _ in rows] == list(range(0, 20000, 1000))
    assert [float(loss) for _, loss in rows] == pytest.approx([float(loss) for loss in SHEET.split()], abs=6e-4)
    table, predictions = run.out.split("Final predictions:\n")
    assert len(table.splitlines()) == 20
    assert re.fullmatch(r"tensor\(\[\[0\.\d{4}\],\n( {8}\[0\.\d{4}\](,\n|\]\)\n)){3}", predictions), predictions
    assert [float(p) for p in re.findall(r"0\.\d{4}", predictions)] == pytest.approx(PREDICTIONS, abs=6e-3)
    assert "\x1b" not in run.out + run.err
    assert "\r" not in run.out + run.err  # no bar where there is no terminal
    assert run.err.count("\n") == 1, run.err  # one line: where the results are

    metrics = run.metrics
    assert metrics["epochs"] == 20000
    assert metrics["networks"] == 1
    assert metrics["seed"] == 452582093
    assert metrics["solved"] is True
    assert 5000 < metrics["solved_epoch"] < 7000
    assert metrics["predictions"] == pytest.approx(PREDICTIONS, abs=6e-3)
    assert metrics["seconds"] > 0
    check_files(run)
    check_curves(run)


def check_files(run: CommandResult) -> None:
    names = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}
    assert {re.sub(r"(tfevents).*", r"\1", name) for name in names} == {
        ".hydra/config.yaml",
        ".hydra/hydra.yaml",
        ".hydra/overrides.yaml",
        "train.log",
        "metrics.json",
        "networks.csv",
        "loss_curve.png",
        "decision_boundary.png",
        "decision_boundary.gif",
        "hidden_units.png",
        "checkpoints/last.ckpt",
        "xornet.pt",
        "hparams.yaml",
        "events.out.tfevents",
    }
    for picture in ("loss_curve.png", "decision_boundary.png"):
        assert (run.folder / picture).read_bytes().startswith(b"\x89PNG")
    film = run.folder / "decision_boundary.gif"
    assert film.stat().st_size < 2**20
    with PIL.Image.open(film) as frames:
        assert frames.info["loop"] == 0  # for ever
        shown = len(list(PIL.ImageSequence.Iterator(frames)))
    assert shown == len(events.read(run.folder).Images("plots/decision_boundary"))

    sheet = SheetNet()  # the weights serve without this project
    sheet.load_state_dict(torch.load(run.folder / "xornet.pt", weights_only=True))
    assert sheet(X).flatten().tolist() == pytest.approx(run.metrics["predictions"], abs=1e-6)
    assert torch.nn.MSELoss()(sheet(X), Y).item() == pytest.approx(run.metrics["loss"], abs=1e-6)

    checkpoint = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 20000


def check_curves(run: CommandResult) -> None:
    log = events.read(run.folder)
    loss = events.scalar(run.folder, "train/loss")
    assert list(loss) == list(range(0, 20000, 20))  # 1,000 points: TensorBoard shows every one
    printed = {int(epoch): float(value) for epoch, value in re.findall(r"Epoch (\d+), Loss: (\S+)", run.out)}
    assert {epoch: loss[epoch] for epoch in printed} == pytest.approx(printed, abs=5.1e-5)
    assert set(log.Tags()["scalars"]) == {
        "train/loss",
        "train/accuracy",
        *(f"train/prediction_{point}" for point in ("00", "01", "10", "11")),
        *(f"update/{what}/{layer}" for what in ("gradient_norm", "ratio") for layer in ("hidden", "output")),
        *(f"final/{metric}" for metric in ("loss", "accuracy", "solved", "solved_epoch")),
    }
    accuracy = events.scalar(run.folder, "train/accuracy")
    solved = run.metrics["solved_epoch"]
    assert all((value == 1) == (epoch >= solved) for epoch, value in accuracy.items())
    assert events.scalar(run.folder, "train/prediction_01")[19980] == pytest.approx(
        run.metrics["predictions"][1], abs=1e-3
    )
    # the first and the last gradient, by autograd on the network as it started and as it ended
    torch.manual_seed(452582093)
    start, end = SheetNet(), SheetNet()
    end.load_state_dict(torch.load(run.folder / "xornet.pt", weights_only=True))
    for epoch, sheet in ((0, start), (20000, end)):
        torch.nn.MSELoss()(sheet(X), Y).backward()
        for layer in ("hidden", "output"):
            gradient = torch.cat([p.grad.flatten() for p in getattr(sheet, layer).parameters()])
            norms = events.scalar(run.folder, f"update/gradient_norm/{layer}")
            assert list(norms) == list(range(0, 20001, 200))
            assert norms[epoch] == pytest.approx(gradient.norm().item(), rel=1e-4)

    frames = [image.step for image in log.Images("plots/decision_boundary")]
    assert (frames[0], frames[-1]) == (0, 20000)
    assert 10 < len(frames) <= 25
    leaving = [epoch for epoch in frames if 5000 <= epoch < 10000]  # the plateau
    assert len(leaving) > len(frames) / 3  # in a quarter of the time
    assert max(b - a for a, b in pairwise(frames)) <= 4200
    for tag in ("loss_curve", "loss_curve_log", "hidden_units"):
        assert [image.step for image in log.Images(f"plots/{tag}")] == [20000]
    groups = ("weights", "weights_gradients")
    assert {f"{group}/{layer}" for group in groups for layer in ("hidden", "output")} == set(log.Tags()["histograms"])
    text = log.Tensors("run/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert text.startswith("### Can gradient descent teach a 2-4-1 sigmoid network XOR?\n\n- Solved at epoch ")
    assert "lr: 0.1" in text
    assert "max_epochs: 20000" in text
    hparams = log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    for name in (b"optimizer.lr", b"model.hidden", b"networks", b"seed", b"trainer.max_epochs"):
        assert name in hparams
    with pytest.raises(KeyError):  # TensorBoard would take one run's list of columns for every run's
        log.SummaryMetadata("_hparams_/experiment")


@pytest.mark.further
def test_a_run_is_the_same_from_any_directory_and_in_a_fresh_process(command: Command, tmp_path: Path) -> None:
    overrides = ["trainer.max_epochs=1200", "seed=5", *NO_FIGURES]
    fresh = f"hydra.run.dir={tmp_path / 'fresh'}"
    done = subprocess.run(
        [sys.executable, SRC / "train.py", *overrides, fresh], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    here = command(*overrides)
    assert done.stdout == here.out
    ours, theirs = (torch.load(folder / "xornet.pt", weights_only=True) for folder in (here.folder, tmp_path / "fresh"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not list(tmp_path.glob("outputs"))


@pytest.mark.parametrize(
    ("number", "status"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_signal_stops_with_a_checkpoint_from_which_the_run_resumes(
    command: Command, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    folder, short = tmp_path / "interrupted", ["trainer.max_epochs=8000", "callbacks.animation=null"]
    run = Signalled(folder, *short, when=partial(printed, "Epoch 3000"), numbers=(number,), held_at=6000)
    assert run.status == status
    assert 3000 <= run.stopped(folder) <= 6001
    resumed = command(f"ckpt_path={folder}/checkpoints/last.ckpt", *short)
    straight = command(*short)
    ours, theirs = (torch.load(run.folder / "xornet.pt", weights_only=True) for run in (resumed, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert events.scalar(resumed.folder, "train/loss") == events.scalar(straight.folder, "train/loss")
    assert resumed.metrics["solved_epoch"] == straight.metrics["solved_epoch"]


def test_a_signal_while_pictures_are_drawn_exits_as_one_in_training(tmp_path: Path) -> None:
    folder, shown = tmp_path / "run", partial(printed, "Final predictions")
    ten, numbers = "trainer.max_epochs=10", (signal.SIGINT,)
    run = Signalled(folder, ten, when=shown, numbers=numbers, held_at=10, held_in="on_fit_end")
    assert run.status == 130
    assert run.stopped(folder) == 10


def test_a_finished_run_resumed_leaves_a_complete_directory(command: Command) -> None:
    first = command("trainer.max_epochs=300", *NO_FIGURES)
    again = command(f"ckpt_path={first.folder}/checkpoints/last.ckpt", "trainer.max_epochs=300", *NO_FIGURES)
    assert again.metrics | {"seconds": 0} == first.metrics | {"seconds": 0}
    assert events.scalar(again.folder, "train/loss") == events.scalar(first.folder, "train/loss")
    ours, theirs = (torch.load(r.folder / "checkpoints" / "last.ckpt", weights_only=True) for r in (again, first))
    assert ours["global_step"] == theirs["global_step"] == 300


@pytest.mark.further
def test_a_run_resumed_without_pictures_keeps_none_of_its_earlier_part(command: Command, tmp_path: Path) -> None:
    here = f"hydra.run.dir={tmp_path}/run"
    assert command("trainer.max_epochs=20", here).status == 0
    last = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    assert command("trainer.max_epochs=40", here, last, *NO_FIGURES).status == 0
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.suffix in (".png", ".gif")]
    assert [event.step for event in events.read(tmp_path / "run").Scalars("train/loss")] == list(range(40))


def test_a_run_resumed_at_its_end_elsewhere_leaves_no_checkpoint_of_another(command: Command, tmp_path: Path) -> None:
    reused = f"hydra.run.dir={tmp_path}/reused"
    assert command("trainer.max_epochs=20", "seed=1", reused, *NO_FIGURES).status == 0
    first = command("trainer.max_epochs=30", "seed=2", *NO_FIGURES)
    last = f"ckpt_path={first.folder}/checkpoints/last.ckpt"
    assert command("trainer.max_epochs=30", "seed=2", last, reused, *NO_FIGURES).status == 0
    kept = torch.load(tmp_path / "reused" / "checkpoints" / "last.ckpt", weights_only=True)
    assert (kept["global_step"], kept["hyper_parameters"]["seed"]) == (30, 2)


def test_a_run_resumed_in_its_own_directory_logs_each_epoch_once(command: Command, tmp_path: Path) -> None:
    here = (f"hydra.run.dir={tmp_path}/here", *NO_FIGURES)
    command(*here, "trainer.max_epochs=300")
    command(*here, f"ckpt_path={tmp_path}/here/checkpoints/last.ckpt", "trainer.max_epochs=500")
    log = events.read(tmp_path / "here")
    assert [event.step for event in log.Scalars("train/loss")] == list(range(500))
    cards = [event.step for event in log.Tensors("run/text_summary")]
    assert cards == [0, 300, 500]  # the card, and a verdict for each part


def test_histograms_come_every_thousand_epochs(command: Command) -> None:
    run = command("trainer.max_epochs=2500", "callbacks.gradient_monitor.every_n_epochs=100", *NO_FIGURES)
    steps = [event.step for event in events.read(run.folder).Histograms("weights/hidden")]
    assert steps == [0, 1000, 2000]


def test_what_a_user_asks_lightning_to_print_is_printed(command: Command) -> None:
    run = command("trainer.max_epochs=3", "trainer.enable_model_summary=true", "trainer.profiler=simple", *NO_FIGURES)
    assert re.search(
        r"17\s+Total params|Total params\D+17\b", run.err + run.out
    )  # Lightning's, or rich's if it is there
    assert "FIT Profiler Report" in run.err
    assert "Epoch 0, Loss: 0.2595\nFinal" in run.out


@pytest.mark.further
@pytest.mark.parametrize("epochs", [1, 17, 1234])
def test_counters_checkpoint_and_axis_agree_at_odd_lengths(command: Command, epochs: int) -> None:
    run = command(f"trainer.max_epochs={epochs}")
    assert run.metrics["epochs"] == epochs
    checkpoint = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == epochs
    loss = events.scalar(run.folder, "train/loss")
    every = 2 if epochs > 1000 else 1
    assert list(loss) == list(range(0, epochs, every))
    images = [image.step for image in events.read(run.folder).Images("plots/decision_boundary")]
    assert images[0] == 0
    assert images[-1] == epochs
    assert len(images) <= 25


def test_every_knob_of_the_network_reaches_the_run(command: Command) -> None:
    run = command(
        "trainer.max_epochs=300",
        "data.bits=3",
        "model.hidden=[8,8]",
        "model.activation=tanh",
        "model.init=0.5",
        "model.tolerance=0.3",
        "model.gradient=autograd",
        "trainer.precision=64-true",
        "optimizer=adam",
        "optimizer.betas=[0.8,0.99]",
        "optimizer.weight_decay=0.001",
        "networks=3",
        "seed=9",
    )
    assert run.status == 0
    state = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert [tuple(value.shape) for value in state["state_dict"].values()] == [(4, 8, 3), (9, 8, 3), (9, 1, 3)]
    assert {value.dtype for value in state["state_dict"].values()} == {torch.float64}
    (group,) = state["optimizer_states"][0]["param_groups"]
    assert (group["betas"], group["weight_decay"]) == ((0.8, 0.99), 0.001)
    assert run.metrics["networks"] == 3
    assert 0 <= run.metrics["solved"] <= 1
    assert "of 3 networks" in run.out
    assert not (run.folder / "decision_boundary.png").exists()  # three inputs make no plane


def test_experiment_linear_shows_that_no_line_separates_xor(command: Command) -> None:
    run = command("experiment=linear", *NO_FIGURES)
    assert run.metrics["loss"] == pytest.approx(0.25, abs=1e-4)
    assert run.metrics["predictions"] == pytest.approx([0.5] * 4, abs=1e-2)
    assert (run.metrics["solved"], run.metrics["solved_epoch"]) == (False, None)


@pytest.mark.further
def test_experiment_population_asks_a_thousand_networks(command: Command) -> None:
    run = command("experiment=population", "trainer.max_epochs=1500", "optimizer.lr=2.0")
    assert run.metrics["networks"] == 1000
    row = r"^Epoch 1000, Loss: 0\.\d{4} \(0\.\d{4} to 0\.\d{4}\), Solved: \d+\.\d%$"
    assert re.search(row, run.out, re.M), run.out
    assert re.search(r"^Solved: \d+ of 1,000 networks, ", run.out, re.M)
    assert len((run.folder / "networks.csv").read_text().splitlines()) == 1001
    log = events.read(run.folder)
    assert {"train/loss", "train/loss_q10", "train/loss_q90", "train/solved"} <= set(log.Tags()["scalars"])
    assert {"final/losses", "final/solved_epochs"} <= set(log.Tags()["histograms"])
    solved = events.scalar(run.folder, "final/solved")
    assert list(solved.values()) == pytest.approx([run.metrics["solved"]])


@pytest.mark.further
def test_experiment_width_asks_a_thousand_networks_of_each_size(command: Command) -> None:
    run = command("experiment=width", "trainer.max_epochs=1000", "optimizer.lr=1.0", "callbacks.animation=null")
    jobs = sorted(path.parent for path in run.folder.glob("*/metrics.json"))
    hidden = [OmegaConf.load(job / ".hydra" / "config.yaml").model.hidden for job in jobs]
    assert hidden == [[2], [3], [4], [8]]
    results = [json.loads((job / "metrics.json").read_text()) for job in jobs]
    assert [result["networks"] for result in results] == [1000] * 4
    solved = [result["solved"] for result in results]
    assert 0 < solved[0] < solved[1] < solved[2] < solved[3]  # the wider, the more often


@pytest.mark.further
def test_loggers_can_be_exchanged_and_switched_off(command: Command) -> None:
    csv = command("trainer.max_epochs=500", "logger=csv", *NO_FIGURES)
    rows = (csv.folder / "csv" / "metrics.csv").read_text().splitlines()
    assert "train/loss" in rows[0]
    assert not list(csv.folder.glob("events*"))
    for off in ("trainer.logger=false", "~logger", "logger.tensorboard=null"):
        none = command("trainer.max_epochs=500", off, "callbacks.animation=null")
        assert none.metrics["loss"] == csv.metrics["loss"]
        assert not list(none.folder.glob("events*"))
    assert (none.folder / "loss_curve.png").exists()


@pytest.mark.further
def test_trainer_options_work_as_lightning_spells_them(command: Command) -> None:
    assert command("trainer.fast_dev_run=true").metrics["epochs"] == 1
    timed = command(
        "trainer.max_epochs=-1", "trainer.max_time=00:00:00:01", "callbacks.gradient_monitor=null", *NO_FIGURES
    )
    assert timed.metrics["epochs"] > 0
    assert timed.metrics["seconds"] >= 1  # and not for ever; how soon after is the machine's affair
    stopped = command("callbacks=early_stopping", "callbacks.early_stopping.stopping_threshold=0.2", *NO_FIGURES)
    assert 5000 < stopped.metrics["epochs"] < 7000
    assert stopped.metrics["epochs"] % 100 == 0


def test_on_a_terminal_one_bar_counts_epochs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("xornet.callbacks.console.BAR_DELAY", 0)
    run = command("trainer.max_epochs=3000", "model.gradient=autograd", *NO_FIGURES)
    assert re.search(r"\d+/3000 \[\d\d:\d\d<\d\d:\d\d, .*epoch/s, loss=0\.\d{4}", run.err)
    assert len(re.findall(r"^Epoch \d+, Loss: \d\.\d{4}$", run.out, re.M)) == 3


def test_an_argument_that_is_left_to_pytorch_is_recorded_with_its_value(command: Command) -> None:
    run = command("~optimizer.lr", "trainer.max_epochs=3", *NO_FIGURES)
    assert run.status == 0, run.err
    assert "optimizer.lr: 0.001\n" in (run.folder / "hparams.yaml").read_text()
    assert (
        b"optimizer.lr" in events.read(run.folder).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    )
