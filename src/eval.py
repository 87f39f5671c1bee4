"""Evaluate a checkpoint: python src/eval.py ckpt_path=logs/train/runs/<run>/checkpoints/last.ckpt."""

from xornet.cli import startup  # noqa: F401 isort: skip - first: it sets signal handlers before the slow imports

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig
from torch.utils.data import DataLoader, TensorDataset

from xornet import files
from xornet.callbacks.figures import save
from xornet.callbacks.pictures import boundary_pictures, curve_figures, unit_pictures
from xornet.cli import configuration, errors
from xornet.cli.hydra_run import ckpt_path, is_job, output_dir, record
from xornet.cli.trainer import make_trainer
from xornet.engine import scores
from xornet.plots.render import drawn
from xornet.runs.compare import load
from xornet.runs.directory import check_holder
from xornet.runs.leftovers import discard
from xornet.runs.lock import locked
from xornet.runs.metrics import write_results
from xornet.runs.undo import made
from xornet.runs.verdict import describe


@hydra.main(version_base="1.3", config_path="../conf", config_name="eval")
def main(cfg: DictConfig) -> None:
    """Print the truth table with predictions, loss and accuracy; draw the pictures and write the results."""
    folder = output_dir()
    if is_job() and not any(folder.iterdir()):  # Hydra has just created it
        made.append(folder)
    configuration.check_callback()
    configuration.check(cfg)
    with locked(folder):
        evaluate(cfg, folder)


def evaluate(cfg: DictConfig, folder: Path) -> None:
    """Evaluate a checkpoint into a directory."""
    check_holder(folder, "an evaluation")
    module, epochs = load(ckpt_path(cfg))
    trainer = make_trainer(cfg.trainer, [])
    table = DataLoader(TensorDataset(module.x, module.y), batch_size=len(module.x))
    (found,) = trainer.test(module, table, verbose=False)
    (predicted,) = trainer.predict(module, table) or []
    discard(folder, before=files.now(folder))
    record(cfg, folder, "eval")
    curves = {name: drawn(figure) for name, figure in curve_figures(module).items()}
    save(curves | boundary_pictures(module) | unit_pictures(module), folder)
    results = write_results(module, epochs, folder)
    for point, target, predictions in zip(module.x, module.y, predicted, strict=True):
        bits = " ".join(f"{bit:g}" for bit in point.tolist())
        print(f"{bits} -> {target.item():g}, predicted {predictions.nanquantile(0.5):.4f}")
    print(f"Loss: {found['test/loss']:.4f}")
    print(f"Accuracy: {scores.percent(found['test/accuracy'], digits=int(len(module.ensemble) > 1))}")
    if len(module.ensemble) > 1:
        print(describe(results, len(module.ensemble), epochs))


if __name__ == "__main__":
    with errors.one_line(sys.argv[1:]):
        main()
