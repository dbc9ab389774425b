"""Plots of skills: loadings, effects of families, correlations and levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scalebayes.plots.axes import log_axis
from scalebayes.plots.intervals import BAR, INSIDE, OUTSIDE, bars, from_draws

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = "Thick bar: 50% interval, thin bar: 90% interval, tick: median,"
NEEDED = ["skill", "median", "lower_50", "upper_50", "lower_90", "upper_90"]


def loadings(table: pd.DataFrame) -> Figure:
    """Draw the loadings of benchmarks on skills, with one panel per skill.

    Args:
        table: `loadings` of `skills.skills`, in logits per sd of a skill, with intervals of 50 and 90%.

    Returns:
        The figure, with a caption.

    Raises:
        ValueError: If the table has no rows or lacks a column.

    Example:
        >>> figure = sb.plots.loadings(sb.skills.skills(fit).loadings)  # doctest: +SKIP
    """
    _check(table, "benchmark")
    names = list(dict.fromkeys(table["benchmark"]))
    figure, axes = _panels(table, len(names), sharey=True)
    for ax, (skill, rows) in zip(axes, table.groupby("skill", sort=False), strict=True):
        _list(ax, rows, [names.index(name) for name in rows["benchmark"]], names, str(skill))
    figure.supxlabel(
        f"logits that one sd of the skill adds to ability\n{BARS}{from_draws(table)}.", size="small"
    )
    return figure


def family_effects(table: pd.DataFrame, *, top: int = 20) -> Figure:
    """Draw the families with the largest effects on each skill, ordered by their medians.

    Args:
        table: `families` of `skills.skills`, in sd of a skill over models, with intervals of 50 and 90%.
        top: Largest number of families to draw.

    Returns:
        The figure, with one panel per skill and a caption.

    Raises:
        ValueError: If the table has no rows or lacks a column, or `top` is below 1.

    Example:
        >>> figure = sb.plots.family_effects(sb.skills.skills(fit).families)  # doctest: +SKIP
    """
    _check(table, "family")
    if top < 1:
        raise ValueError(f"top must be at least 1, but is {top!r}")
    n = table["family"].nunique()
    figure, axes = _panels(table, min(n, top))
    for ax, (skill, rows) in zip(axes, table.groupby("skill", sort=False), strict=True):
        first = rows.sort_values("median", ascending=False).head(top)
        _list(ax, first, range(len(first)), list(first["family"]), str(skill))
        best = first.iloc[0]
        ax.axvspan(best["lower_90"], best["upper_90"], color="0.93", linewidth=0, zorder=0)
    figure.supxlabel(
        "effect of the family at equal size and tokens, in sd of the skill over models\n"
        f"{BARS}{from_draws(table)};\ngrey: 90% interval of the first family. "
        f"{min(n, top)} of {n} families.",
        size="small",
    )
    return figure


def skill_correlations(table: pd.DataFrame) -> Figure:
    """Draw the correlations of each pair of skills, over models and over families.

    Args:
        table: `correlations` of `skills.skills`, with intervals of 50 and 90%, of at least two skills.

    Returns:
        The figure, with a caption.

    Raises:
        ValueError: If the table has no rows or lacks a column.

    Example:
        >>> figure = sb.plots.skill_correlations(sb.skills.skills(fit).correlations)  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    _check(table, "with_skill")
    names = [
        f"{row['skill']}, {row['with_skill']}\nacross {row['across']}"
        for row in table.to_dict("records")
    ]
    figure, ax = plt.subplots(figsize=(6.5, 1.2 + 0.45 * len(table)), layout="constrained")
    _list(ax, table, range(len(table)), names, "")
    ax.set_xlim(-1, 1)
    figure.supxlabel(
        f"correlation\n{BARS}{from_draws(table)}.\nThe correlation across models depends on the rotation.",
        size="small",
    )
    return figure


def skill_levels(table: pd.DataFrame, points: pd.DataFrame | None = None) -> Figure:
    """Draw level curves of the skills of a typical family over size and tokens, with posterior sd.

    Args:
        table: Table of `skills.skill_levels`.
        points: Table of models with params and tokens, to show where the data are; by default none.

    Returns:
        The figure, with one panel per skill and a caption.

    Raises:
        ValueError: If the table has no rows or lacks a column.

    Example:
        >>> figure = sb.plots.skill_levels(sb.skills.skill_levels(fit))  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    _check(table, "params", "tokens", "sd")
    skills = list(dict.fromkeys(table["skill"]))
    figure, axes = plt.subplots(
        1, len(skills), sharex=True, sharey=True, squeeze=False, layout="constrained",
        figsize=(max(5.0, 1.0 + 3.6 * len(skills)), 4.4),
    )  # fmt: skip
    log_axis(
        axes[0, 0], "x", table["params"]
    )  # before the contours, whose labels depend on the scale
    log_axis(axes[0, 0], "y", table["tokens"])
    for ax, skill in zip(axes[0], skills, strict=True):
        rows = table[table["skill"] == skill]
        for column, colour, style in (("sd", OUTSIDE, "dashed"), ("median", BAR, "solid")):
            grid = rows.pivot(index="tokens", columns="params", values=column)
            lines = ax.contour(
                grid.columns, grid.index, grid, levels=6, colors=colour, linestyles=style,
                linewidths=1.0 if column == "sd" else 1.6,
            )  # fmt: skip
            ax.clabel(lines, fontsize="x-small")
        if points is not None:
            inside = points.drop_duplicates(["params", "tokens"])
            ax.scatter(inside["params"], inside["tokens"], 5, color="0.6", zorder=1)
        ax.set_title(str(skill), size="medium", weight="bold")
        ax.tick_params(labelsize="small")
    axes[0, 0].set_ylabel("training tokens", size="small")
    dots = "" if points is None else " Dots: models."
    figure.supxlabel(
        f"parameters\nSkill of a typical family, in sd over models.{dots}\n"
        f"Blue: median, orange and dashed: posterior sd{from_draws(table)}.",
        size="small",
    )
    return figure


def _check(table: pd.DataFrame, *columns: str) -> None:
    if missing := [c for c in (*columns, *NEEDED) if c not in table.columns]:
        raise ValueError(
            f"expected a table of skills with intervals of 50 and 90%, but it lacks {missing}"
        )
    if not len(table):
        raise ValueError("expected a table with at least one row, but it has none")


def _panels(table: pd.DataFrame, n_row: int, *, sharey: bool = False) -> tuple[Figure, Any]:
    """A figure with one panel per skill."""
    import matplotlib.pyplot as plt

    n = table["skill"].nunique()
    figure, axes = plt.subplots(
        1, n, sharex=True, sharey=sharey, squeeze=False, layout="constrained",
        figsize=(max(6.0, 1.2 + 2.8 * n), 1.3 + 0.24 * n_row),
    )  # fmt: skip
    return figure, axes[0]


def _list(
    ax: Axes, rows: pd.DataFrame, at: Sequence[int], names: Sequence[str], title: str
) -> None:
    """Draw intervals of rows at heights `at`, and a line at zero."""
    ax.axvline(0, color=INSIDE, linewidth=0.8)
    bars(ax, rows, np.array(at, float))
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_title(title, size="medium", weight="bold")
    ax.grid(axis="x", color="0.88", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(labelsize="small")
    ax.spines[["top", "right", "left"]].set_visible(False)
