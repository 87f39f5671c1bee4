"""Evaluate a checkpoint: python src/eval.py ckpt_path=logs/train/runs/<run>/checkpoints/last.ckpt."""

from xornet.cli import signals, streams

streams.make_usable()
signals.exit_at_once()  # while it imports

import sys
import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from xornet.callbacks.figures import boundary_pictures, curve_figures, save, unit_pictures
from xornet.cli import errors, hydra_setup
from xornet.plots.render import drawn
from xornet.runs.compare import load
from xornet.runs.directory import check_holder, expect_job, record
from xornet.runs.metrics import discard, write_results
from xornet.runs.verdict import describe

hydra_setup.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="eval")
def main(cfg: DictConfig) -> None:
    """Print the truth table with predictions, loss and accuracy; draw the pictures and write the results."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    expect_job(folder)
    check_holder(folder, "an evaluation")
    module, epochs = load(cfg.ckpt_path)
    discard(folder, before=time.time())
    record(cfg, folder)
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
