"""Evaluate a checkpoint: python src/eval.py ckpt_path=logs/train/runs/<run>/checkpoints/last.ckpt."""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from xornet import errors, plots, rundir
from xornet.checkpoint import CheckpointFile
from xornet.data import truth_table
from xornet.module import XORModule
from xornet.results import evaluate

OmegaConf.register_new_resolver("claim", rundir.claim, use_cache=True, replace=True)


@hydra.main(version_base="1.3", config_path="../conf", config_name="eval")
def main(cfg: DictConfig) -> None:
    """Print the truth table with predictions, loss and accuracy; draw the sheet's two pictures."""
    module = load(cfg.ckpt_path)
    results = evaluate(module)
    for point, target, predictions in zip(module.x, module.y, module.predictions(), strict=True):
        bits = " ".join(str(int(bit)) for bit in point)
        print(f"{bits} -> {target.item():.0f}, predicted {predictions.quantile(0.5):.4f}")
    print(f"Loss: {results['loss']:.4f}")
    print(f"Accuracy: {results['accuracy']:.0%}")

    folder = Path(HydraConfig.get().runtime.output_dir)
    curve = module.history.curve
    figures = {}
    if curve:
        figures["loss_curve.png"] = plots.loss_curve(curve["epochs"].numpy(), curve["losses"].numpy())
    if module.x.shape[1] == 2:
        z = plots.boundary_grid(module.network(0).float())
        figures["decision_boundary.png"] = plots.decision_boundary(z, module.x.numpy(), module.y.numpy())
    for name, figure in figures.items():
        rundir.write(folder / name, figure.savefig)


def load(ckpt_path: str) -> XORModule:
    """Return the networks of a checkpoint, with the truth table that they were trained on."""
    checkpoint = CheckpointFile().load_checkpoint(ckpt_path)
    try:
        module = XORModule(**checkpoint["hyper_parameters"])
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"])
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"ckpt_path={ckpt_path} does not fit together; use another checkpoint") from error
    module.set_table(*truth_table(module.hparams["bits"]))
    return module


if __name__ == "__main__":
    with errors.one_line(sys.argv[1:]):
        main()
