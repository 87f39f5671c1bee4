"""The pictures of a run, into its directory and to the loggers that take pictures."""

from functools import partial
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from PIL.Image import Image

from xornet import files
from xornet.callbacks.pictures import curve_figures, unit_pictures
from xornet.engine.blocks import is_smoke_test
from xornet.module import XORModule
from xornet.plots.render import drawn, write_png
from xornet.runs.resumed_logs import first_step
from xornet.runs.trackers import PICTURED, log_picture


class LossCurve(Callback):
    """Draws the loss curve when a run ends: `loss_curve.png`, for loggers on a logarithmic axis too.

    For N > 1 also the share of networks that solve the table: `solved.png`.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        assert isinstance(pl_module, XORModule)
        figures = curve_figures(pl_module)
        publish({name: drawn(figure) for name, figure in figures.items()}, trainer)
        if figures and any(isinstance(logger, PICTURED) for logger in trainer.loggers):
            axes = figures["loss_curve.png"].axes[0]
            axes.set_yscale("log")  # where late progress shows
            axes.yaxis.set_major_formatter("{x:g}")  # powers would take as long again as all the rest
            log_image(drawn(figures["loss_curve.png"]), trainer, "loss_curve_log", trainer.current_epoch)


class HiddenUnits(Callback):
    """Draws what each hidden unit of network 0 does when a run ends: `hidden_units.png`."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        assert isinstance(pl_module, XORModule)
        publish(unit_pictures(pl_module), trainer)


def save(pictures: dict[str, Image], folder: str | Path) -> None:
    """Write pictures into a directory, by their file names."""
    for name, picture in pictures.items():
        files.write(Path(folder, name), partial(write_png, picture))


def publish(pictures: dict[str, Image], trainer: Trainer) -> None:
    """Write pictures into the run directory, and give them to the loggers; not of a smoke test."""
    if is_smoke_test(trainer):
        return
    Path(trainer.default_root_dir).mkdir(parents=True, exist_ok=True)  # a Trainer of a notebook has not made it yet
    save(pictures, trainer.default_root_dir)
    for name, picture in pictures.items():
        log_image(picture, trainer, name.removesuffix(".png"), trainer.current_epoch)


def log_image(picture: Image, trainer: Trainer, name: str, epoch: int) -> None:
    """Give a picture to every logger that an earlier part of the run has not given it to."""
    for logger in trainer.loggers:
        if epoch >= first_step(logger):
            log_picture(logger, picture, f"plots/{name}", epoch)
