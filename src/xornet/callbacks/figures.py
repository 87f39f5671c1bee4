"""The pictures of a run, for its directory and for the loggers that accept pictures."""

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
    """Draws the loss curve at the end of a run: `loss_curve.png`, for loggers also with a logarithmic axis.

    For N > 1 also the share of networks that solve the table: `solved.png`.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        assert isinstance(pl_module, XORModule)
        figures = curve_figures(pl_module)
        publish({name: drawn(figure) for name, figure in figures.items()}, trainer)
        if figures and any(isinstance(logger, PICTURED) for logger in trainer.loggers):
            axes = figures["loss_curve.png"].axes[0]
            axes.set_yscale("log")  # which shows late progress
            axes.yaxis.set_major_formatter("{x:g}")  # labels as powers would double the time of drawing
            log_image(drawn(figures["loss_curve.png"]), trainer, "loss_curve_log", trainer.current_epoch)


class HiddenUnits(Callback):
    """Draws the hidden units of network 0 at the end of a run: `hidden_units.png`."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        assert isinstance(pl_module, XORModule)
        publish(unit_pictures(pl_module), trainer)


def save(pictures: dict[str, Image], folder: str | Path) -> None:
    """Write pictures into a directory, by their file names."""
    for name, picture in pictures.items():
        files.write(Path(folder, name), partial(write_png, picture))


def publish(pictures: dict[str, Image], trainer: Trainer) -> None:
    """Write pictures into the run directory, and pass them to the loggers; not with `fast_dev_run`."""
    if is_smoke_test(trainer):
        return
    Path(trainer.default_root_dir).mkdir(parents=True, exist_ok=True)  # in a notebook it may not exist yet
    save(pictures, trainer.default_root_dir)
    for name, picture in pictures.items():
        log_image(picture, trainer, name.removesuffix(".png"), trainer.current_epoch)


def log_image(picture: Image, trainer: Trainer, name: str, epoch: int) -> None:
    """Pass a picture to the loggers, except where an earlier part of the run has logged that epoch."""
    for logger in trainer.loggers:
        if epoch >= first_step(logger):
            log_picture(logger, picture, f"plots/{name}", epoch)
