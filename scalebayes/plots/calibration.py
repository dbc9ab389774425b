"""Do intervals hold what they promise, and how far away? Coverage, PIT, and CRPS by distance."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from scalebayes.plots.intervals import BAR, OUTSIDE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BINS = 10


def calibration(scores: pd.DataFrame, coverage: pd.DataFrame, groups: pd.DataFrame) -> Figure:
    """Draw how predictions of held-out scores came out.

    Args:
        scores: What `scoring.scores` gives, for its column pit.
        coverage: What `scoring.coverage` gives.
        groups: What `scoring.calibration` gives, by distance or another column, which comes first.

    Returns:
        The figure, of three panels, with a caption that says what is drawn.

    Raises:
        ValueError: A table has no rows.
    """
    import matplotlib.pyplot as plt

    for name, table in (("scores", scores), ("coverage", coverage), ("groups", groups)):
        if not len(table):
            raise ValueError(f"expected a table of {name} with at least one row, but it has none")
    figure, (one, two, three) = plt.subplots(1, 3, figsize=(9.5, 3.4), layout="constrained")
    one.fill_between(coverage["level"], coverage["lower"], coverage["upper"], color="0.88")
    one.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
    one.plot(coverage["level"], coverage["coverage"], color=BAR, linewidth=1.8)
    one.set(xlabel="probability of the interval", ylabel="share of scores inside", title="Coverage")
    one.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")

    two.hist(scores["pit"], np.linspace(0, 1, BINS + 1), color=BAR, edgecolor="white")
    two.axhline(len(scores) / BINS, color="0.5", linewidth=0.8)
    two.set(xlabel="probability of a smaller score", ylabel="scores", xlim=(0, 1))
    two.set_title("PIT: flat if calibrated")

    at, by = np.arange(len(groups)), groups.columns[0]
    three.bar(at, groups["crps"], 0.6, color=BAR)
    top = float(groups["crps"].max())
    for x, row in zip(at, groups.to_dict("records"), strict=True):
        off = _off(row["coverage_90"], row["scores"])
        three.annotate(
            f"{row['coverage_90']:.0%}\nof {row['scores']}", (x, row["crps"]), (0, 3),
            textcoords="offset points", ha="center", size="x-small",
            color=OUTSIDE if off else "black", weight="bold" if off else "normal",
        )  # fmt: skip
    three.set_xticks(at, [textwrap.fill(str(g), 9) for g in groups[by]], size="x-small")
    three.set(ylabel="mean CRPS (points)", ylim=(0, 1.25 * top))
    three.set_title(f"By {str(by).replace('_', ' ')}")
    for ax in (one, two, three):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize="small")
    n_model = scores.groupby(["fold", "model"]).ngroups
    figure.supxlabel(
        f"{len(scores)} held-out scores of {n_model} models. Left: grey, where the curve of independent "
        "scores would lie with probability 0.95.\nRight: above each bar, share inside the 90% intervals, "
        "bold where it is not 85 to 95% and chance would hardly do it. Distance: decades of FLOPs past the "
        "family's largest seen model.",
        size="x-small",
    )
    return figure


def _off(share: float, n: int) -> bool:
    """Whether a share inside 90% intervals is neither 85 to 95% nor likely by chance, for n of them."""
    low, high = binom.interval(0.95, n, 0.9)
    return not 0.85 <= share <= 0.95 and not low <= round(share * n) <= high
