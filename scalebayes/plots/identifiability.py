"""What do the data identify? Posterior beside prior, and the direction that the data leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scalebayes.plots.intervals import BAR, OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    "identified": (BAR, "o"),
    "weakly identified": ("#56B4E9", "s"),
    "prior-driven": (OUTSIDE, "D"),
    "prior conflict": ("#CC79A7", "X"),
    "not judged": ("0.6", "."),
}
"""Colour and marker of a verdict, of Okabe and Ito's palette."""

BAD = ("prior-driven", "prior conflict")

MOST = 9
"""So many parameters of a group are drawn, spread evenly from the least contracted to the most."""

REACH = 4.0
"""How far the axis goes, in standard deviations of the prior; what lies beyond is drawn at its end."""


def prior_posterior(
    groups: pd.DataFrame, elements: pd.DataFrame, *, n_draws: int, ax: Axes | None = None
) -> Axes:
    """Draw the posterior of every group of parameters beside its prior.

    Args:
        groups: The groups of `identifiability`, or some of them.
        elements: Its elements.
        n_draws: Number of draws behind them.
        ax: Where to draw; by default a new figure of fitting height.

    Returns:
        The axes, with a caption under them that says what is drawn.

    Raises:
        ValueError: The table of groups has no rows.
    """
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    if not len(groups):
        raise ValueError("expected a table of groups with at least one row, but it has none")
    if ax is None:
        size = (8.5, 1.6 + 0.34 * len(groups))
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    for at, group in enumerate(groups.to_dict("records")):
        rows = elements[elements["group"] == group["group"]].sort_values("contraction")
        chosen = rows.iloc[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(int)]
        _draw(ax, chosen, at + (np.arange(len(chosen)) - (len(chosen) - 1) / 2) * 0.66 / MOST)
        ax.annotate(
            _figures(group), (1.0, at), (4, 0), ("axes fraction", "data"),
            textcoords="offset points", va="center", size="x-small",
            weight="bold" if group["verdict"] in BAD else "normal",
        )  # fmt: skip
    names = groups["phrase"].str.cat(groups["group"], sep="  ")
    ax.set_yticks(range(len(groups)), names)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlim(-REACH, REACH)
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0, labelsize="x-small")
    ax.tick_params(axis="x", labelsize="small")
    ax.spines[["top", "right", "left"]].set_visible(False)
    shown = [v for v in LOOKS if v in set(elements["verdict"])]
    ax.legend(
        [Line2D([], [], color=LOOKS[v][0], marker=LOOKS[v][1], markersize=4) for v in shown],
        shown, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(shown), frameon=False,
        fontsize="x-small",
    )  # fmt: skip
    ax.set_xlabel(
        "standard deviations of the prior, from its mean\n"
        f"Grey: 90% interval of the prior. Coloured: 90% interval and median of the posterior, {n_draws} draws;\n"
        f"of a group with more than {MOST} parameters, {MOST} from the least to the most contracted. "
        "Triangles: beyond the axis.\nRight: contraction, the median and the least, and of which; bold where most "
        "are prior-driven or in conflict.",
        size="x-small",
    )
    return ax


def open_direction(
    correlation: pd.DataFrame, weights: pd.DataFrame, block: str, *, n_draws: int
) -> Figure:
    """Draw the correlations of a block of parameters, and the direction that the data tell least of.

    Args:
        correlation: The correlation of `identifiability`.
        weights: Its weights.
        block: Which of its blocks, such as `benchmark mmlu`.
        n_draws: Number of draws behind them.

    Returns:
        The figure, of two panels with the same rows, and a caption that says what is drawn.

    Raises:
        ValueError: There is no such block.
    """
    import matplotlib.pyplot as plt

    own = weights[weights["block"] == block]
    if not len(own):
        raise ValueError(
            f"block must be one of {list(dict.fromkeys(weights['block']))}, but is {block!r}"
        )
    names = list(own["parameter"])
    values = correlation.loc[names, names].to_numpy()
    n = len(names)
    figure, (left, right) = plt.subplots(
        1, 2, sharey=True, layout="constrained", figsize=(3.6 + 0.42 * n, 2.0 + 0.3 * n),
        width_ratios=[n, 4],
    )  # fmt: skip
    left.imshow(values, cmap="PuOr", vmin=-1.6, vmax=1.6, aspect="auto")
    for i, j in np.ndindex(n, n):
        if i != j and abs(values[i, j]) >= 0.1:
            strong = abs(values[i, j]) > 0.7
            left.text(
                j, i, f"{values[i, j]:.1f}", ha="center", va="center", size="x-small",
                weight="bold" if strong else "normal",
            )  # fmt: skip
    left.set_xticks(range(n), names, rotation=45, ha="right", size="x-small")
    left.set_yticks(range(n), names, size="x-small")
    left.set_title("Posterior correlation", size="small")
    moves = own["worst"].to_numpy(float)
    right.barh(range(n), moves, 0.6, color=[BAR if m > 0 else OUTSIDE for m in moves])
    right.axvline(0, color="0.5", linewidth=0.8)
    right.set(xlim=(-1.1, 1.1), xticks=[-1, 0, 1])
    right.set_title("Least told direction", size="small")
    right.tick_params(axis="y", length=0)
    right.tick_params(axis="x", labelsize="x-small")
    right.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(block, size="medium", weight="bold")
    figure.supxlabel(
        f"Left: {n_draws} posterior draws; bold beyond 0.7, no figure below 0.1.\nRight: how parameters "
        "move together where the data have\ncontracted the prior least, in standard deviations of priors.",
        size="x-small",
    )
    return figure


def _figures(group: Mapping[Any, Any]) -> str:
    """Contraction of a group in figures; nothing where it is not judged."""
    if np.isnan(group["contraction"]):
        return ""
    if group["elements"] == 1:
        return f"{group['contraction']:.2f}"
    return f"{group['contraction']:.2f}, {group['worst']:.2f} {group['worst_at']}"


def _draw(ax: Axes, rows: pd.DataFrame, at: np.ndarray) -> None:
    """Intervals of some parameters at heights `at`."""
    low, high = rows["prior_lower"].median(), rows["prior_upper"].median()
    ax.barh(at.mean(), high - low, max(np.ptp(at) + 0.22, 0.4), low, color="0.87")
    for height, row in zip(at, rows.to_dict("records"), strict=True):
        colour, marker = LOOKS[row["verdict"]]
        middle, ends = row["posterior_median"], [row["posterior_lower"], row["posterior_upper"]]
        ax.hlines(height, *np.clip(ends, -REACH, REACH), color=colour, linewidth=1.4)
        if abs(middle) > REACH:
            marker = ">" if middle > 0 else "<"
        ax.scatter(
            np.clip(middle, -REACH, REACH), height, 14, color=colour, marker=marker,
            edgecolor="white", linewidth=0.4, zorder=3, clip_on=False,
        )  # fmt: skip
