"""The results of a run in words."""

from typing import Any

from xornet.engine import plateaus, scores
from xornet.module import XORModule


def describe(results: dict[str, Any], networks: int, epochs: int) -> str:
    """Return the results of `evaluate` in words."""
    if networks == 1:
        return describe_one(results, epochs)
    low, high = results["solved_interval"]
    solved = round(results["solved"] * networks)
    share = f"{scores.percent(solved / networks)} (95% interval {low:.1%} to {high:.1%})"
    lines = [f"Solved: {solved:,} of {networks:,} networks, {share}"]
    if results["solved_epoch_quartiles"]:
        first, third = results["solved_epoch_quartiles"]
        lines.append(
            f"First solved at epoch: median {results['solved_epoch']:,.0f}, quartiles {first:,.0f} and {third:,.0f}"
        )
    lines.append(f"Unsolved within {in_words(epochs)}: {results['unsolved']:,}{describe_plateaus(results['plateaus'])}")
    if forgotten := networks - results["unsolved"] - solved:
        lines.append(f"Solved before, but not after the last epoch: {forgotten:,}")
    if results["diverged"]:
        where = "seed={seed} at epoch {epoch:,}".format(**results["first_diverged"])
        lines.append(f"Diverged: {results['diverged']:,} of them, first {where}")
    return "\n".join(lines)


def describe_plateaus(counts: dict[str, int]) -> str:
    """Return on which plateaus unsolved networks stand, in parentheses; an empty string if on none."""
    if set(counts) <= {plateaus.ELSEWHERE}:
        return ""
    parts = [f"{count:,} {plateaus.describe(place)}" for place, count in counts.items()]
    return f" ({', '.join(parts).replace('near', 'near loss', 1)})"


def describe_one(results: dict[str, Any], epochs: int) -> str:
    """Return the results of one network in words."""
    when = results["solved_epoch"]
    ever = f"Not solved within {in_words(epochs)}" if when is None else f"Solved at epoch {when:,}"
    forgotten = ", but not after the last epoch" if when is not None and not results["solved"] else ""
    right = scores.percent(results["accuracy"], digits=0)
    end = f"Loss after {in_words(epochs)}: {results['loss']:.4f}, {right} of the points correct"
    return f"{ever}{forgotten}\n{end}"


def in_words(epochs: int) -> str:
    """The number of epochs in words."""
    return f"{epochs:,} epoch{'s' * (epochs != 1)}"


def describe_now(module: XORModule) -> str:
    """Return the current loss as the sheet prints it; for N > 1 the median, its spread, and the share solved."""
    now = scores.summary(module.errors(), module.history.tolerance)
    if len(module.ensemble) == 1:
        return f"Loss: {now['loss']:.4f}"
    solved = scores.percent(now["solved"])
    return f"Loss: {now['loss']:.4f} ({now['loss_q10']:.4f} to {now['loss_q90']:.4f}), Solved: {solved}"
