"""Do intervals hold what they promise, and how far away? Coverage, PIT and its ECDF, CRPS by distance."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom

from scalebayes.data.validation import plural
from scalebayes.plots.intervals import BAR, OUTSIDE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BINS = 10


def calibration(
    scores: pd.DataFrame, coverage: pd.DataFrame, ecdf: pd.DataFrame, groups: pd.DataFrame
) -> Figure:
    """Draw how predictions of held-out scores came out.

    Args:
        scores: What `scoring.scores` gives, for its column pit.
        coverage: What `scoring.coverage` gives.
        ecdf: What `scoring.pit_ecdf` gives.
        groups: What `scoring.calibration` gives, by distance or another column, which comes first.

    Returns:
        The figure, of four panels, with a caption that says what is drawn.

    Raises:
        ValueError: A table has no rows.
    """
    import matplotlib.pyplot as plt

    tables = {"scores": scores, "coverage": coverage, "ecdf": ecdf, "groups": groups}
    for name, table in tables.items():
        if not len(table):
            raise ValueError(f"expected a table of {name} with at least one row, but it has none")
    figure, axes = plt.subplots(2, 2, figsize=(8, 6.8), layout="constrained")
    one, two, three, four = axes.flat
    one.fill_between(coverage["level"], coverage["lower"], coverage["upper"], color="0.88")
    one.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
    one.plot(coverage["level"], coverage["coverage"], **_line(coverage))
    one.set(xlabel="probability of the interval", ylabel="share of scores inside", title="Coverage")
    one.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")

    two.hist(scores["pit"], np.linspace(0, 1, BINS + 1), color=BAR, edgecolor="white")
    two.axhline(len(scores) / BINS, color="0.5", linewidth=0.8)
    two.set(xlabel="probability of a smaller score", ylabel="scores", xlim=(0, 1))
    two.yaxis.get_major_locator().set_params(integer=True)
    two.set_title("PIT: flat if calibrated")

    bounds = [ecdf[side] - ecdf["value"] for side in ("lower", "upper")]
    three.fill_between(ecdf["value"], *bounds, color="0.88")
    three.axhline(0, color="0.5", linewidth=0.8)
    three.plot(ecdf["value"], ecdf["ecdf"] - ecdf["value"], **_line(ecdf))
    three.set(xlabel="probability of a smaller score", ylabel="ECDF less uniform", xlim=(0, 1))
    three.set_title("ECDF of the PIT")

    at, by = np.arange(len(groups)), groups.columns[0]
    four.bar(at, groups["crps"], 0.6, color=BAR)
    top = float(groups["crps"].max())
    for x, row in zip(at, groups.to_dict("records"), strict=True):
        off = _off(row["coverage_90"], row["scores"])
        four.annotate(
            f"{row['coverage_90']:.0%}\nof {row['scores']}", (x, row["crps"]), (0, 3),
            textcoords="offset points", ha="center", size="x-small",
            color=OUTSIDE if off else "black", weight="bold" if off else "normal",
        )  # fmt: skip
    four.set_xticks(at, [textwrap.fill(str(g), 9) for g in groups[by]], size="x-small")
    four.set(ylabel="mean CRPS (points)", ylim=(0, 1.25 * top))
    four.set_title(f"By {str(by).replace('_', ' ')}")
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize="small")
    n_model = scores.groupby(["fold", "model"]).ngroups
    figure.supxlabel(
        f"{plural(len(scores), 'held-out score')} of {plural(n_model, 'model')}. Grey: holds the whole "
        "curve of independent calibrated scores with probability 0.95.\nECDF above 0: scores fall below "
        "predictions; above on the left and below on the right: intervals are too narrow.\nAbove each "
        "bar: share inside the 90% intervals, bold where it is not 85 to 95% and chance would hardly do it.\n"
        "Distance: decades of FLOPs past the family's largest seen model.",
        size="x-small",
    )
    return figure


def _line(curve: pd.DataFrame) -> dict[str, Any]:
    """How a curve is drawn; where it has one point, as a dot."""
    dot = {"marker": "o", "clip_on": False} if len(curve) == 1 else {}
    return {"color": BAR, "linewidth": 1.8, **dot}


def _off(share: float, n: int) -> bool:
    """Whether a share inside 90% intervals is neither 85 to 95% nor likely by chance, for n of them."""
    low, high = binom.interval(0.95, n, 0.9)
    return not 0.85 <= share <= 0.95 and not low <= round(share * n) <= high
