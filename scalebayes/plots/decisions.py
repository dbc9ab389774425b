"""Probability of targets over size and tokens, and prices of allocations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.data.compute import training_flops, training_tokens
from scalebayes.plots.axes import log_axis, short
from scalebayes.plots.intervals import BAR, OUTSIDE, TICK, from_draws

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

LEVELS = (0.05, 0.2, 0.5, 0.8, 0.95)
LINES = ("-", "--", "-.", ":")
COLOURS = (BAR, OUTSIDE, "#009E73", "#CC79A7")


def target_map(table: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw the probability of reaching targets over size and tokens, with lines of equal FLOPs.

    Args:
        table: Table of `target_map`: params, tokens and probability on a full grid.
        ax: Axes to draw on; by default those of a new figure.
        title: Title, such as the family and its targets.

    Returns:
        The axes, with a caption.

    Raises:
        ValueError: If the table is not a full grid of at least two sizes and two token counts.

    Example:
        >>> import pandas as pd
        >>> grid = pd.DataFrame(
        ...     [(n, d, n / (n + 1e10)) for n in (1e9, 1e10, 1e11) for d in (1e12, 4e12)],
        ...     columns=["params", "tokens", "probability"],
        ... )
        >>> ax = sb.plots.target_map(grid, title="a family")
        >>> ax.get_title()
        'a family'
    """
    import matplotlib.pyplot as plt

    grid = table.pivot(index="tokens", columns="params", values="probability")
    if min(grid.shape) < 2 or grid.isna().any(axis=None):
        raise ValueError(
            f"expected a full grid of sizes and token counts, at least two of each, but got {grid.shape[1]} by "
            f"{grid.shape[0]} with {int(grid.isna().sum().sum())} missing"
        )
    if ax is None:
        ax = plt.subplots(figsize=(6.2, 5.0), layout="constrained")[1]
    n, d = grid.columns.to_numpy(float), grid.index.to_numpy(float)
    shades = ax.contourf(n, d, grid, np.linspace(0, 1, 11), cmap="Blues", vmin=0, vmax=1.25)
    low, high = grid.to_numpy().min(), grid.to_numpy().max()
    if levels := [p for p in LEVELS if low < p < high]:
        ax.contour(n, d, grid, levels, colors=TICK, linewidths=1.1)
    # labels lie on one row near the middle, where it crosses the lines
    row = int(0.65 * len(d))
    along = np.maximum.accumulate(grid.to_numpy()[row])
    for level in (p for p in levels if along[0] < p < along[-1]):
        at = np.exp(np.interp(level, along, np.log(n)))
        _label(ax, f"{level:.0%}", (at, d[row]), TICK)
    ax.figure.colorbar(shades, ax=ax, label="probability", ticks=[0, 0.2, 0.4, 0.6, 0.8, 1.0])
    ax.set(xlim=(n[0], n[-1]), ylim=(d[0], d[-1]))
    for power in range(
        int(np.ceil(np.log10(training_flops(n[0], d[0])))),
        int(np.log10(training_flops(n[-1], d[-1]))) + 1,
    ):
        flops = 10.0**power
        same = training_tokens(flops, n)
        ax.plot(n, same, color=OUTSIDE, linewidth=0.8, linestyle="--", zorder=3)
        # the label is where the line leaves the axes, at the bottom or on the right
        at = training_tokens(flops, d[0])
        end = (at, d[0]) if at < n[-1] else (n[-1], same[-1])
        _label(ax, f"1e{power}", end, OUTSIDE, offset=(-3, 4), ha="right", va="bottom")
    log_axis(ax, "x", table["params"])
    log_axis(ax, "y", table["tokens"])
    ax.set_ylabel("training tokens")
    caption = f"Lines: equal probability. Dashed: equal training FLOPs (6 N D){from_draws(table)}."
    ax.set_xlabel(f"parameters\n{caption}", size="small")
    if title:
        ax.set_title(title, size=9, weight="bold")
    return ax


def _label(
    ax: Axes,
    text: str,
    at: tuple[float, float],
    colour: str,
    offset: tuple[int, int] = (0, 0),
    ha: str = "center",
    va: str = "center",
) -> None:
    """Label a line."""
    ax.annotate(
        text, at, offset, textcoords="offset points", ha=ha, va=va, size=7, color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
    )  # fmt: skip


def allocation(
    prices: pd.DataFrame,
    region: pd.DataFrame,
    axes: Sequence[Axes] | None = None,
    *,
    of: str = "score",
) -> Sequence[Axes]:
    """Draw the expected value of each size at a budget, its price, and the interval of the optimum.

    Args:
        prices: `Allocation.prices`, with intervals of 90%.
        region: `Allocation.region`, with intervals of 50 and 90%.
        axes: Two axes; by default those of a new figure.
        of: Name of the quantity that is maximised or minimised.

    Returns:
        The two axes, with a caption under the second.

    Raises:
        ValueError: If a table has no rows.

    Example:
        >>> found = sb.allocate(fit, "f0", [1e22, 1e23])  # doctest: +SKIP
        >>> axes = sb.plots.allocation(found.prices, found.region)  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    if not len(prices) or not len(region):
        raise ValueError(
            "expected tables of an allocation with at least one budget, but they have none"
        )
    if axes is None:
        made = plt.subplots(
            2, 1, figsize=(6.2, 6.2), sharex=True, height_ratios=[3, 2], layout="constrained"
        )[1]
        axes = list(made)
    top, bottom = axes
    budgets = list(dict.fromkeys(prices["flops"]))
    highest = prices["upper_90"].max()
    for i, flops in enumerate(budgets):
        colour, line = COLOURS[i % len(COLOURS)], LINES[i % len(LINES)]
        rows = prices[prices["flops"] == flops]
        top.plot(
            rows["params"],
            rows["value"],
            color=colour,
            linestyle=line,
            label=f"{short(flops)} FLOPs",
        )
        bottom.fill_between(
            rows["params"],
            rows["lower_90"],
            rows["upper_90"],
            color=colour,
            alpha=0.18,
            linewidth=0,
        )
        bottom.plot(rows["params"], rows["price"], color=colour, linestyle=line)
        of_size = region[(region["flops"] == flops) & (region["quantity"] == "params")].iloc[0]
        y = -highest * (0.12 + 0.12 * i)
        for level, width in ((90, 1.3), (50, 5)):
            bottom.hlines(
                y,
                of_size[f"lower_{level}"],
                of_size[f"upper_{level}"],
                color=colour,
                linewidth=width,
            )
        bottom.plot(of_size["median"], y, "|", color=TICK, markersize=8)
    top.legend(frameon=False, fontsize="small")
    top.set(ylabel=f"expected {of}")
    bottom.set_ylabel("price of the size")
    bottom.axhline(0, color="0.6", linewidth=0.6)
    bottom.set_ylim(-highest * (0.14 + 0.12 * len(budgets)), highest * 1.05)
    bottom.set_yticks([tick for tick in bottom.get_yticks() if 0 <= tick <= highest])
    log_axis(bottom, "x", prices["params"])
    bottom.set_xlabel(
        "parameters, at 6 N D = the budget\nPrice: shortfall from the best size; line: expected, "
        "band: 90% interval.\nBars: 50 and 90% intervals and median of the best size"
        f"{from_draws(prices)}.",
        size="small",
    )
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize="small")
    return axes
