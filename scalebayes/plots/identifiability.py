"""Posterior and prior of groups of parameters, and the least identified direction."""

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

BOLD_VERDICTS = ("prior-driven", "prior conflict")

MAX_DRAWN = 9
"""Largest number of parameters drawn per group, evenly spaced from the least to the most contracted."""

MAX_SD = 4.0
"""End of the axis in standard deviations of the prior; values beyond are drawn at the end."""


def prior_posterior(
    groups: pd.DataFrame, elements: pd.DataFrame, *, n_draws: int, ax: Axes | None = None
) -> Axes:
    """Draw the posterior and the prior of each group of parameters.

    Args:
        groups: `Identifiability.groups`, or some of its rows.
        elements: `Identifiability.elements`.
        n_draws: Number of posterior draws, for the caption.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The axes, with a caption.

    Raises:
        ValueError: If the table of groups has no rows.

    Example:
        >>> found = sb.identifiability(fit)  # doctest: +SKIP
        >>> ax = sb.plots.prior_posterior(
        ...     found.groups, found.elements, n_draws=found.n_draws
        ... )  # doctest: +SKIP
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
        chosen = rows.iloc[
            np.linspace(0, len(rows) - 1, min(len(rows), MAX_DRAWN)).round().astype(int)
        ]
        _draw(ax, chosen, at + (np.arange(len(chosen)) - (len(chosen) - 1) / 2) * 0.66 / MAX_DRAWN)
        ax.annotate(
            _figures(group), (1.0, at), (4, 0), ("axes fraction", "data"),
            textcoords="offset points", va="center", size="x-small",
            weight="bold" if group["verdict"] in BOLD_VERDICTS else "normal",
        )  # fmt: skip
    names = groups["phrase"].str.cat(groups["group"], sep="  ")
    ax.set_yticks(range(len(groups)), names)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlim(-MAX_SD, MAX_SD)
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
        f"of a group with more than {MAX_DRAWN} parameters, {MAX_DRAWN} from the least to the most contracted. "
        "Triangles: beyond the axis.\nRight: median contraction, smallest contraction and its parameter; bold if "
        "most are prior-driven or in conflict.",
        size="x-small",
    )
    return ax


def open_direction(
    correlation: pd.DataFrame, weights: pd.DataFrame, block: str, *, n_draws: int
) -> Figure:
    """Draw the posterior correlations of a block of parameters, and its least identified direction.

    Args:
        correlation: `Identifiability.correlation`.
        weights: `Identifiability.weights`.
        block: A block of the weights, such as `benchmark mmlu`.
        n_draws: Number of posterior draws, for the caption.

    Returns:
        The figure, with two panels and a caption.

    Raises:
        ValueError: If there is no such block.

    Example:
        >>> found = sb.identifiability(fit)  # doctest: +SKIP
        >>> figure = sb.plots.open_direction(
        ...     found.correlation, found.weights, "benchmark mmlu", n_draws=found.n_draws
        ... )  # doctest: +SKIP
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
    right.set_title("Least identified direction", size="small")
    right.tick_params(axis="y", length=0)
    right.tick_params(axis="x", labelsize="x-small")
    right.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(block, size="medium", weight="bold")
    figure.supxlabel(
        f"Left: {n_draws} posterior draws; bold beyond 0.7, not shown below 0.1.\nRight: the direction in "
        "which the data contract the\nprior least, in standard deviations of priors.",
        size="x-small",
    )
    return figure


def _figures(group: Mapping[Any, Any]) -> str:
    """Contraction of a group as text; empty if it was not judged."""
    if np.isnan(group["contraction"]):
        return ""
    if group["elements"] == 1:
        return f"{group['contraction']:.2f}"
    return f"{group['contraction']:.2f}, {group['worst']:.2f} {group['worst_at']}"


def _draw(ax: Axes, rows: pd.DataFrame, at: np.ndarray) -> None:
    """Draw intervals of parameters at heights `at`."""
    low, high = rows["prior_lower"].median(), rows["prior_upper"].median()
    ax.barh(at.mean(), high - low, max(np.ptp(at) + 0.22, 0.4), low, color="0.87")
    for height, row in zip(at, rows.to_dict("records"), strict=True):
        colour, marker = LOOKS[row["verdict"]]
        middle, ends = row["posterior_median"], [row["posterior_lower"], row["posterior_upper"]]
        ax.hlines(height, *np.clip(ends, -MAX_SD, MAX_SD), color=colour, linewidth=1.4)
        if abs(middle) > MAX_SD:
            marker = ">" if middle > 0 else "<"
        ax.scatter(
            np.clip(middle, -MAX_SD, MAX_SD), height, 14, color=colour, marker=marker,
            edgecolor="white", linewidth=0.4, zorder=3, clip_on=False,
        )  # fmt: skip
