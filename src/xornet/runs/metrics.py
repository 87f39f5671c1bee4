"""The results of a run: the numbers of `metrics.json` and `networks.csv`."""

import csv
import json
import math
from pathlib import Path
from typing import Any

from torch import Tensor

from xornet import files
from xornet.data import point_names
from xornet.engine import plateaus, scores
from xornet.module import XORModule


def evaluate(module: XORModule) -> dict[str, Any]:
    """Evaluate the networks in their current state.

    Returns:
        `loss` (median over networks), `accuracy` (share of points correct), `solved` (true or false; for N > 1 the
        share of networks), `solved_epoch` (first epoch at which the table was solved, null if never; for N > 1 the
        median over the networks that ever solved it), `predictions` (for N = 1, one number a point). For N > 1 also
        `loss_quantiles` (10%, 90%), `solved_interval` (Wilson's, 95%), `solved_epoch_quartiles` (25%, 75%), `unsolved`
        (how many never solved the table), `plateaus` (how many of these stand on which plateau, engine/plateaus.py),
        `diverged` (how many diverged) and `first_diverged` (seed and epoch of the first).

    """
    found = scores.summary(module.errors(), module.history.tolerance)
    networks = len(module.ensemble)
    ever = module.history.solved_epoch.cpu()
    when = ever[ever >= 0].double()
    results: dict[str, Any] = {
        **{name: found[name] for name in ("loss", "accuracy", "solved")},
        "solved_epoch": when.quantile(0.5).item() if len(when) else None,
        "predictions": None,
    }
    if networks == 1:
        alone = {"solved": bool(found["solved"]), "solved_epoch": int(when[0]) if len(when) else None}
        return results | alone | {"predictions": module.predictions().flatten().tolist()}
    places, diverged = places_of(module), diverged_epochs(module)
    first = min(diverged[diverged >= 0].tolist(), default=None)
    seed_of = module.ensemble.seed_of
    return results | {
        "loss_quantiles": [found["loss_q10"], found["loss_q90"]],
        "solved_interval": (found["solved_low"], found["solved_high"]),
        "solved_epoch_quartiles": when.quantile(when.new_tensor([0.25, 0.75])).tolist() if len(when) else None,
        "unsolved": networks - len(when),
        "plateaus": plateaus.count(place for place, epoch in zip(places, ever.tolist(), strict=True) if epoch < 0),
        "diverged": int((diverged >= 0).sum()),
        "first_diverged": None if first is None else {"seed": seed_of(diverged.tolist().index(first)), "epoch": first},
    }


def evaluate_networks(module: XORModule) -> tuple[Tensor, Tensor, Tensor]:
    """Return predictions (P, O, N), losses (N,), in float64, and whether each has every point correct now (N,)."""
    errors = module.errors()
    return module.predictions(), scores.losses(errors).double(), scores.solved(errors, module.history.tolerance)


def diverged_epochs(module: XORModule) -> Tensor:
    """The epoch at which each network's loss became nan, or its weights were found infinite; -1 if neither, (N,)."""
    epochs, is_finite = module.history.diverged_epoch, scores.finite(module.ensemble.weights)
    return epochs.where((epochs >= 0) | is_finite, module.history.epochs or 0).cpu()


def places_of(module: XORModule) -> list[str]:
    """The plateau of each of the N networks (engine/plateaus.py), empty if it is solved or has diverged."""
    predictions, _, solved = evaluate_networks(module)
    is_unsolved = ~solved & (diverged_epochs(module) < 0).to(solved.device)
    places = iter(plateaus.names(predictions[..., is_unsolved], module.y))
    return [next(places) if is_there else "" for is_there in is_unsolved.tolist()]


def objective(results: dict[str, Any]) -> float:
    """The number that a sweep minimises: the loss of one network, or the share of networks that are unsolved."""
    return float(results["loss"] if isinstance(results["solved"], bool) else 1 - results["solved"])


def write_results(module: XORModule, epochs: int, folder: str | Path, **times: float) -> dict[str, Any]:
    """Write `networks.csv`, and last `metrics.json`, which marks a finished run; return the results."""
    results, rounded = evaluate(module), {name: round(seconds, 3) for name, seconds in times.items()}
    if not math.isfinite(results["loss"]):
        raise ValueError("all networks have diverged: there are no results to write; use a smaller optimizer.lr")
    numbers = {name: module.hparams[name] for name in ("seed", "networks")}
    text = json.dumps({"epochs": epochs, **results, **numbers, **rounded}, indent=2, allow_nan=False)
    files.write(Path(folder, "networks.csv"), lambda path: write_networks(module, path))
    files.write(Path(folder, "metrics.json"), lambda path: path.write_text(text + "\n", "utf-8"))
    return results


def write_networks(module: XORModule, path: Path) -> None:
    """Write one row per network: seed, loss, solved, solved_epoch (empty if never), plateau, predictions."""
    predictions, losses, solved = (tensor.cpu() for tensor in evaluate_networks(module))
    seed_of = module.ensemble.seed_of
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        points = [f"prediction_{name}" for name in point_names(module.x)]
        rows.writerow(["seed", "loss", "solved", "solved_epoch", "plateau", *points])
        when = ["" if epoch < 0 else epoch for epoch in module.history.solved_epoch.tolist()]
        columns = (losses.tolist(), solved.tolist(), when, places_of(module), predictions[:, 0].T.tolist())
        for i, (*values, predicted) in enumerate(zip(*columns, strict=True)):
            rows.writerow([seed_of(i), *values, *predicted])
