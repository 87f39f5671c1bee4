"""What a run remembers of its epochs, as curves."""

from matplotlib.figure import Figure

from xornet.plots.render import Array


def loss_curve(epochs: Array, losses: Array, singles: Array) -> Figure:
    """The sheet's first picture: loss against epoch; the median and, where networks differ, the band and single ones.

    Args:
        epochs: (S,)
        losses: (S, 3), the 10%, 50% and 90% quantiles over the networks; all equal for one network.
        singles: (S, M), the losses of a few networks, drawn thinly through the band.

    """
    figure = Figure(figsize=(6.4, 4.8))
    axes = figure.subplots()
    low, median, high = losses.T
    line = axes.plot(epochs, median, label="median", zorder=3)[0]
    if (low < high).any():
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.25, linewidth=0, label="10% to 90%")
        thin = axes.plot(epochs, singles, color="0.35", linewidth=0.6)
        thin[0].set_label("single networks")
        axes.legend()
    axes.set(xlabel="Epochs", ylabel="Loss", title="Training Loss Curve")
    return figure


def solved_share(epochs: Array, share: Array) -> Figure:
    """The share of networks that solve the table, against epoch.

    Args:
        epochs: (S,)
        share: (S,), 0 to 1.

    """
    figure = Figure(figsize=(6.4, 4.8))
    axes = figure.subplots()
    axes.plot(epochs, 100 * share)
    axes.set(xlabel="Epochs", ylabel="Networks that solve the table (%)", title="Networks Solved", ylim=(-2, 102))
    return figure
