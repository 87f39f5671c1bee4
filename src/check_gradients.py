"""Work a run's first step by hand and check its gradient: python src/check_gradients.py [key=value ...]."""

from xornet.cli import startup  # noqa: F401 isort: skip - first: it sets signal handlers before the slow imports

import sys
from typing import Any

import hydra
from hydra.utils import instantiate
from lightning.pytorch import LightningDataModule
from omegaconf import DictConfig

from xornet.batches import only_batch
from xornet.cli import configuration, errors
from xornet.cli.hydra_run import seed_all
from xornet.gradcheck import comparison as gradcheck
from xornet.gradcheck import worked_example as worked
from xornet.module import XORModule


@hydra.main(version_base="1.3", config_path="../conf", config_name="check_gradients")
def main(cfg: DictConfig) -> None:
    """Print the first step of network 0 and its gradients in float64; exit with 1 if they disagree."""
    configuration.check_callback()
    configuration.check(cfg)
    module: XORModule = instantiate(cfg.model, _convert_="all")
    assert module.optimizer is not None
    seed_all(cfg)
    data: Any = instantiate(cfg.data)
    if isinstance(data, LightningDataModule):
        data.prepare_data()
        data.setup("fit")
        data = data.train_dataloader()
    module.set_training_table(*only_batch(data))
    module.double()
    network = module.ensemble
    weights = [weight.detach()[..., 0] for weight in network.weights]
    problem = worked.Problem(weights, module.x, module.y, network.activation)

    sizes = "-".join(str(size) for size in (network.inputs, *network.hidden, 1))
    print(f"{sizes}, seed={cfg.seed}. Rows of a, z, y, δ: points. Rows of W: inputs, last the bias; columns: units.\n")
    for heading, value in worked.work(problem, module.optimizer):
        print(worked.show(heading, value))
    print(
        "The gradient by hand, as written (backpropagate) and in place (InplaceBackprop), by autograd and differences,"
    )
    print(f"D(h) = (L(w + h) - L(w - h)) / 2h, h = {gradcheck.STEP:.1e}\n")
    wrong = []
    for number, layer in enumerate(gradcheck.compare(problem), 1):
        print(gradcheck.tabulate(f"∂L/∂W_{number}", layer))
        wrong += [] if layer.agree() else [f"∂L/∂W_{number}"]
    if wrong:
        print(f"The gradients disagree: {', '.join(wrong)}")
        sys.exit(1)
    print("The gradients agree.")


if __name__ == "__main__":
    with errors.one_line(sys.argv[1:]):
        main()
