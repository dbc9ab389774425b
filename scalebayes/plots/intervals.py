"""Predictive intervals and observed scores, or losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

By = Literal["model", "benchmark", "domain"]

# Okabe and Ito's palette, for colour-blind readers; shapes differ too, for print
BAR = "#0072B2"
TICK = "#00283F"
INSIDE = "#000000"
OUTSIDE = "#D55E00"
SCORE_OFFSET = 0.3
"""Distance of an observed value below its interval, in rows."""

PALE_OPACITY = 0.35
"""Opacity of predictions without an observed value, and of models off a curve."""

BARS = "Thick bar: 50% interval, thin bar: 90% interval, tick: median."
OBSERVED = "Below it the {of}, a dot inside the 90% interval, a diamond outside."
UNKNOWN = "Pale: no {of} known."
NEEDED = ("model", "median", "lower_50", "upper_50", "lower_90", "upper_90")


def intervals(table: pd.DataFrame, ax: Axes | None = None, *, by: By = "model") -> Axes:
    """Draw predictive intervals and observed scores, or losses, in one list.

    Args:
        table: Table of `predict` with intervals of 50 and 90%. Values in a column `observed` are drawn if there
            is one; NaN is unknown.
        ax: Axes to draw on; by default those of a new figure.
        by: Whether rows are grouped by model or by benchmark (for losses: domain).

    Returns:
        The axes, with a caption.

    Raises:
        ValueError: If the table has no rows or lacks a column, or `by` is neither.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame(
        ...     {"model": "a-70b", "benchmark": ["arc", "mmlu"], "median": [0.6, 0.7],
        ...      "lower_50": [0.58, 0.67], "upper_50": [0.62, 0.73],
        ...      "lower_90": [0.55, 0.62], "upper_90": [0.66, 0.77], "observed": [0.61, 0.8]}
        ... )
        >>> ax = sb.plots.intervals(table)
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['arc', 'mmlu']
    """
    _check(table, by)
    groups = list(dict.fromkeys(table[by]))
    headed = len(groups) > 1
    if ax is None:
        ax = _new_axes(len(table) + (len(groups) * 1.6 if headed else 0))
    height, ticks, names = 0.0, [], []
    for group in groups:
        rows = table[table[by] == group]
        if headed:
            height += 0.6
            ax.annotate(
                str(group), (0.0, height), (2, 0), ("axes fraction", "data"),
                textcoords="offset points", weight="bold", size="small", va="center",
            )  # fmt: skip
            height += 1.0
        at = height + np.arange(len(rows))
        _draw(ax, rows, at)
        ticks += at.tolist()
        names += rows[_other(table, by)].tolist()
        height += len(rows)
    ax.set_yticks(ticks, names)
    ax.set_ylim(height - 0.3, -0.7)
    _finish(ax, table)
    ax.set_xlabel(f"{_of(table)}\n{_caption(table)}", size="small")
    if not headed:
        ax.set_title(str(groups[0]), size=8, weight="bold")
    return ax


def interval_panels(table: pd.DataFrame, *, by: By = "model", columns: int = 5) -> Figure:
    """Draw predictive intervals and observed scores, or losses, with one panel per model (or benchmark).

    Args:
        table: As for `intervals`.
        by: Whether panels are models or benchmarks (for losses: domains).
        columns: Largest number of panels in a row.

    Returns:
        The figure, with a caption.

    Raises:
        ValueError: As for `intervals`.

    Example:
        >>> models = fit.observations.only(models=["f0-3", "f1-3"])  # doctest: +SKIP
        >>> figure = sb.plots.interval_panels(sb.predict(fit, models))  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    _check(table, by)
    groups = list(dict.fromkeys(table[by]))
    names = list(dict.fromkeys(table[_other(table, by)]))
    columns = min(columns, len(groups))
    rows = -(-len(groups) // columns)
    figure, axes = plt.subplots(
        rows, columns, sharex=True, sharey=True, squeeze=False, layout="constrained",
        figsize=(max(1.4 + 1.7 * columns, 6.0), 0.9 + rows * (0.45 + 0.25 * len(names))),
    )  # fmt: skip
    for ax, group in zip(axes.flat, groups, strict=False):
        part = table[table[by] == group]
        _draw(ax, part, np.array([names.index(n) for n in part[_other(table, by)]], float))
        ax.set_title(str(group), size=8, weight="bold")
    for ax in axes.flat[len(groups) :]:
        ax.set_axis_off()
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
    for ax in axes.flat[: len(groups)]:
        _finish(ax, table)
    for ax in axes.flat[max(len(groups) - columns, 0) : len(groups)]:
        ax.tick_params(axis="x", labelbottom=True)  # also where the last row ends before it
    caption = _caption(table, between=" " if figure.get_size_inches()[0] > 8 else "\n")
    figure.supxlabel(f"{_of(table)}\n{caption}", size="small")
    return figure


def from_draws(table: pd.DataFrame) -> str:
    """The number of posterior draws of a table, for a caption; empty if its `attrs` lack it."""
    return f" from {table.attrs['draws']} posterior draws" if "draws" in table.attrs else ""


def _check(table: pd.DataFrame, by: By) -> None:
    column = _column(table)
    if by not in ("model", column):
        raise ValueError(f"by must be 'model' or {column!r}, but is {by!r}")
    if missing := [c for c in (*NEEDED, column) if c not in table.columns]:
        raise ValueError(
            f"expected a table of predict with intervals of 50 and 90%, but it lacks {missing}"
        )
    if not len(table):
        raise ValueError("expected a table with at least one prediction, but it has no rows")


def _caption(table: pd.DataFrame, between: str = "\n") -> str:
    if "observed" not in table:
        return BARS
    observed = f"{OBSERVED} {UNKNOWN}" if table["observed"].isna().any() else OBSERVED
    return between.join([BARS, observed.format(of=_of(table))])


def _column(table: pd.DataFrame) -> str:
    """What the predictions of a model are of: benchmarks or domains."""
    return "domain" if "domain" in table else "benchmark"


def _of(table: pd.DataFrame) -> str:
    return "loss" if "domain" in table else "score"


def _other(table: pd.DataFrame, by: By) -> str:
    return _column(table) if by == "model" else "model"


def _new_axes(lines: float) -> Any:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.5, 0.8 + 0.23 * lines), layout="constrained")[1]


def _draw(ax: Axes, table: pd.DataFrame, at: np.ndarray) -> None:
    """Draw intervals and observed values of the rows of a table at heights `at`."""
    known = "observed" in table
    observed = table["observed"].to_numpy(float) if known else np.full(len(at), np.nan)
    inside = (observed >= table["lower_90"]) & (observed <= table["upper_90"])
    pale = np.isnan(observed) & known
    bars(ax, table[~pale], at[~pale])
    bars(ax, table[pale], at[pale], PALE_OPACITY)
    for rows, marker, colour, size in (
        (np.asarray(inside), "o", INSIDE, 16),
        (np.asarray(~inside & ~np.isnan(observed)), "D", OUTSIDE, 20),
    ):
        ax.scatter(
            observed[rows], at[rows] + SCORE_OFFSET, size, color=colour, marker=marker,
            edgecolor="white", linewidth=0.6, zorder=4,
        )  # fmt: skip


def bars(ax: Axes, table: pd.DataFrame, at: np.ndarray, opacity: float = 1.0) -> None:
    """Draw intervals of 50 and 90% and medians of the rows of a table at heights `at`."""
    ax.hlines(at, table["lower_90"], table["upper_90"], color=BAR, linewidth=1.3, alpha=opacity)
    ax.hlines(
        at, table["lower_50"], table["upper_50"], color=BAR, linewidth=5, alpha=opacity, zorder=2.5
    )
    ax.scatter(
        table["median"], at, 40, color=TICK, marker="|", linewidth=1.1, zorder=3, alpha=opacity
    )


def _finish(ax: Axes, table: pd.DataFrame) -> None:
    if _of(table) == "score":  # losses have no bounds, and the range of what is drawn
        ax.set_xlim(-0.02, 1.02)
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_xticks([0.25, 0.75], minor=True)
    ax.grid(axis="x", which="both", color="0.88", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0, labelsize="small")
    ax.tick_params(axis="x", labelsize="small")
    ax.spines[["top", "right", "left"]].set_visible(False)
