"""Evaluate a checkpoint: python src/eval.py ckpt_path=logs/train/runs/<run>/checkpoints/last.ckpt."""

from xornet.cli import startup  # noqa: F401 isort: skip - first: signals and outputs work while the rest imports

import sys
import time

import hydra
from omegaconf import DictConfig

from xornet.callbacks.figures import boundary_pictures, curve_figures, save, unit_pictures
from xornet.cli import configuration, errors
from xornet.cli.run_directory import expect_job, output_dir, record
from xornet.plots.render import drawn
from xornet.runs.compare import load
from xornet.runs.directory import check_holder
from xornet.runs.metrics import discard, write_results
from xornet.runs.verdict import describe


@hydra.main(version_base="1.3", config_path="../conf", config_name="eval")
def main(cfg: DictConfig) -> None:
    """Print the truth table with predictions, loss and accuracy; draw the pictures and write the results."""
    folder = output_dir()
    expect_job(folder)
    configuration.check(cfg)
    check_holder(folder, "an evaluation")
    module, epochs = load(cfg.ckpt_path)
    discard(folder, before=time.time())
    record(cfg, folder, "eval")
    curves = {name: drawn(figure) for name, figure in curve_figures(module).items()}
    save(curves | boundary_pictures(module) | unit_pictures(module), folder)
    results = write_results(module, epochs, folder)
    for point, target, predictions in zip(module.x, module.y, module.predictions(), strict=True):
        bits = " ".join(str(int(bit)) for bit in point)
        print(f"{bits} -> {target.item():.0f}, predicted {predictions.nanquantile(0.5):.4f}")
    print(f"Loss: {results['loss']:.4f}")
    print(f"Accuracy: {results['accuracy']:.0%}")
    if len(module.ensemble) > 1:
        print(describe(results, len(module.ensemble), epochs))


if __name__ == "__main__":
    with errors.one_line(sys.argv[1:]):
        main()
