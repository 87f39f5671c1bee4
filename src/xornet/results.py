"""What a run ends in: the numbers of `metrics.json`, and how they are printed."""

from typing import Any

from xornet.module import XORModule


def evaluate(module: XORModule) -> dict[str, Any]:
    """Return how well the networks know the truth table now.

    Returns:
        `loss` (median over networks), `accuracy` (share of points learnt), `solved` (true or false; for N > 1 the
        share of networks), `solved_epoch` (first epoch at which the table was solved, null if never; for N > 1 the
        median over the networks that solved it), `predictions` (for N = 1, one number a point).

    """
    predictions = module.predictions()
    error = predictions - module.y[:, :, None]
    learnt = error.abs() < module.history.tolerance
    solved = learnt.flatten(0, 1).all(0)
    when = module.history.solved_epoch
    when = when[when >= 0].double()
    one = len(solved) == 1
    return {
        "loss": error.square().mean((0, 1)).double().nanquantile(0.5).item(),
        "accuracy": learnt.double().mean().item(),
        "solved": bool(solved.all()) if one else solved.double().mean().item(),
        "solved_epoch": int(when.quantile(0.5)) if len(when) else None,
        "predictions": predictions.flatten().tolist() if one else None,
    }
