"""Calibration of held-out predictions: coverage, PIT and its ECDF, and CRPS by group."""

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

N_BINS = 10
"""Number of bins of the histogram of PIT values."""


def calibration(
    scores: pd.DataFrame, coverage: pd.DataFrame, ecdf: pd.DataFrame, groups: pd.DataFrame
) -> Figure:
    """Draw the calibration of predictions of held-out scores, or losses.

    Args:
        scores: Table of `scoring.scores`, of scores or of losses, with columns pit, fold and model.
        coverage: Table of `scoring.coverage`.
        ecdf: Table of `scoring.pit_ecdf`.
        groups: Table of `scoring.calibration`, by distance or another column.

    Returns:
        The figure, with four panels and a caption.

    Raises:
        ValueError: If a table has no rows.

    References:
        Gneiting, Balabdaoui and Raftery, Probabilistic forecasts, calibration and sharpness, 2007.
        https://doi.org/10.1111/j.1467-9868.2007.00587.x

    Example:
        >>> held, scoring = sb.held_out(fit), sb.scoring  # doctest: +SKIP
        >>> tables = scoring.scores(held), scoring.coverage(held), scoring.pit_ecdf(held)  # doctest: +SKIP
        >>> figure = sb.plots.calibration(*tables, scoring.calibration(held))  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    tables = {"scores": scores, "coverage": coverage, "ecdf": ecdf, "groups": groups}
    for name, table in tables.items():
        if not len(table):
            raise ValueError(f"expected a table of {name} with at least one row, but it has none")
    of, many, unit = (
        ("loss", "losses", "") if "domain" in scores else ("score", "scores", " (points)")
    )
    figure, axes = plt.subplots(2, 2, figsize=(8, 6.8), layout="constrained")
    one, two, three, four = axes.flat
    one.fill_between(coverage["level"], coverage["lower"], coverage["upper"], color="0.88")
    one.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
    one.plot(coverage["level"], coverage["coverage"], **_line(coverage))
    one.set(
        xlabel="probability of the interval", ylabel=f"share of {many} inside", title="Coverage"
    )
    one.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")

    two.hist(scores["pit"], np.linspace(0, 1, N_BINS + 1), color=BAR, edgecolor="white")
    two.axhline(len(scores) / N_BINS, color="0.5", linewidth=0.8)
    two.set(xlabel=f"probability of a smaller {of}", ylabel=many, xlim=(0, 1))
    two.yaxis.get_major_locator().set_params(integer=True)
    two.set_title("PIT: flat if calibrated")

    bounds = [ecdf[side] - ecdf["value"] for side in ("lower", "upper")]
    three.fill_between(ecdf["value"], *bounds, color="0.88")
    three.axhline(0, color="0.5", linewidth=0.8)
    three.plot(ecdf["value"], ecdf["ecdf"] - ecdf["value"], **_line(ecdf))
    three.set(xlabel=f"probability of a smaller {of}", ylabel="ECDF less uniform", xlim=(0, 1))
    three.set_title("ECDF of the PIT")

    at, by = np.arange(len(groups)), groups.columns[0]
    four.bar(at, groups["crps"], 0.6, color=BAR)
    top = float(groups["crps"].max())
    for x, row in zip(at, groups.to_dict("records"), strict=True):
        off = _off(row["coverage_90"], row[many])
        four.annotate(
            f"{row['coverage_90']:.0%}\nof {row[many]}", (x, row["crps"]), (0, 3),
            textcoords="offset points", ha="center", size="x-small",
            color=OUTSIDE if off else "black", weight="bold" if off else "normal",
        )  # fmt: skip
    four.set_xticks(at, [textwrap.fill(str(g), 9) for g in groups[by]], size="x-small")
    four.set(ylabel=f"mean CRPS{unit}", ylim=(0, 1.25 * top))
    four.set_title(f"By {str(by).replace('_', ' ')}")
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize="small")
    n_model = scores.groupby(["fold", "model"]).ngroups
    figure.supxlabel(
        f"{plural(len(scores), f'held-out {of}', f'held-out {many}')} of {plural(n_model, 'model')}. Grey: contains "
        f"the whole curve of independent calibrated {many} with probability 0.95.\nECDF above 0: {many} fall below "
        "predictions; above on the left and below on the right: intervals are too narrow.\nAbove each "
        "bar: share inside the 90% intervals, bold if outside 85 to 95% and unlikely by chance.\n"
        "Distance: decades of FLOPs past the family's largest seen model.",
        size="x-small",
    )
    return figure


def _line(curve: pd.DataFrame) -> dict[str, Any]:
    """Style of a curve; a single point is a dot."""
    dot = {"marker": "o", "clip_on": False} if len(curve) == 1 else {}
    return {"color": BAR, "linewidth": 1.8, **dot}


def _off(share: float, n: int) -> bool:
    """Whether the share inside n 90% intervals is outside 85 to 95% and outside its 95% binomial interval."""
    low, high = binom.interval(0.95, n, 0.9)
    return not 0.85 <= share <= 0.95 and not low <= round(share * n) <= high
