"""Predictive bands of families along size, tokens or compute, with measured values."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalebayes.plots.axes import log_axis, short
from scalebayes.plots.intervals import PALE_OPACITY, from_draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette; line styles and markers distinguish families without colour
STYLES = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", (0, (1, 1)), "v"),
    ("#E69F00", (0, (5, 1, 1, 1, 1, 1)), "P"),
    ("#000000", (0, (8, 2)), "X"),
)
AXIS = {"params": "parameters", "tokens": "training tokens", "flops": "training FLOPs"}
CONSTANT = {"tokens": "tokens", "params": "parameters", "ratio": "tokens per parameter"}
"""What is constant along a curve."""

AXIS_OF = {"tokens": "params", "params": "tokens", "ratio": "flops"}
"""What varies along a curve with that constant."""

MAX_RATIO_TO_CURVE = 2.0
"""Largest ratio of a measured model's constant (such as its tokens) to that of the curve; beyond, it is pale."""

NEEDED = ("family", "median", "lower_50", "upper_50", "lower_90", "upper_90")


def curves(
    table: pd.DataFrame,
    points: pd.DataFrame | None = None,
    *,
    asked: pd.DataFrame | None = None,
    columns: int = 3,
) -> Figure:
    """Draw predictive bands along size, tokens or compute, with one panel per benchmark or domain.

    Args:
        table: Table of `trajectory`, with intervals of 50 and 90%, of at most six families.
        points: Table of `measured`; rows of the same families and panels are drawn. By default none.
        asked: Table of `predict` with the columns params, tokens and flops of its models; those of the same families
            and panels are marked. By default none.
        columns: Largest number of panels in a row.

    Returns:
        The figure, with a caption.

    Raises:
        ValueError: If the table has no rows, lacks a column, or has more than six families.

    Example:
        >>> table = sb.trajectory(fit, ["f0", "f1"], along="flops", points=5)  # doctest: +SKIP
        >>> figure = sb.plots.curves(table, sb.measured(fit))  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    _check(table, *AXIS_OF.values(), "kind")
    by = "domain" if "domain" in table else "benchmark"
    of = "loss" if by == "domain" else "score"
    x = AXIS_OF[_fixed(table[table["family"] == table["family"].iloc[0]])]
    panels = list(dict.fromkeys(table[by]))
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, sharex=True, squeeze=False, layout="constrained",
        figsize=(max(0.8 + 2.9 * columns, 5.5), 1.5 + 2.4 * rows),
    )  # fmt: skip
    left_out = 0
    for ax, panel in zip(axes.flat, panels, strict=False):
        shown, marked = (None if t is None else t[t[by] == panel] for t in (points, asked))
        left_out += _draw(ax, table[table[by] == panel], shown, x, of, marked)
        ax.set_title(str(panel), size="medium", weight="bold")
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    log_axis(axes[0, 0], "x", table[x])
    for ax in axes.flat[max(len(panels) - columns, 0) : len(panels)]:
        ax.tick_params(axis="x", labelbottom=True)  # also where the last row ends before it
    for ax in axes[:, 0]:
        ax.set_ylabel(_quantity(table, of, points), size="small")
    unknown = f"Not drawn: {left_out} of models with unknown training tokens."
    star = "Star: median of a model asked for, with its 90% interval."
    more = [star] * (asked is not None) + [unknown] * bool(left_out)
    _finish(figure, table, points, AXIS[x], "\n".join(more))
    return figure


def two_steps(
    loss: pd.DataFrame,
    accuracy: pd.DataFrame,
    chained: pd.DataFrame,
    points: pd.DataFrame | None = None,
) -> Figure:
    """Draw the two steps of a law with losses for one benchmark, and their composition.

    Args:
        loss: Loss along compute; this and the next two are the tables of `two_steps`.
        accuracy: Score along the loss.
        chained: Score along compute.
        points: Table of `measured`; by default none.

    Returns:
        The figure, with three panels and a caption.

    Raises:
        ValueError: As for `curves`.

    Example:
        >>> ladder = sb.load("ladder.nc")  # doctest: +SKIP
        >>> figure = sb.plots.two_steps(*sb.two_steps(ladder, "mmlu"))  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    for table, columns in ((loss, AXIS_OF.values()), (accuracy, ()), (chained, AXIS_OF.values())):
        _check(table, *columns)
    benchmark, domain = accuracy["benchmark"].iloc[0], accuracy["domain"].iloc[0]
    figure, (one, two, three) = plt.subplots(1, 3, figsize=(9.5, 3.9), layout="constrained")
    _draw(one, loss, points, "flops", "loss")
    _draw(two, accuracy, points, "loss", "score")
    _draw(three, chained, points, "flops", "score")
    two.sharey(three)
    two.invert_xaxis()
    for ax, title in ((one, "Step 1"), (two, "Step 2"), (three, "Both in a row")):
        ax.set_title(title, size="medium", weight="bold")
    for ax in (one, three):
        log_axis(ax, "x", loss["flops"])
        ax.set_xlabel(AXIS["flops"], size="small")
    of_loss = f"{_quantity(loss, 'loss', points)} on {domain}"
    one.set_ylabel(of_loss, size="small")
    two.set_xlabel(of_loss, size="small")
    for ax in (two, three):
        ax.set_ylabel(f"{_quantity(chained, 'score', points)} on {benchmark}", size="small")
    _finish(
        figure, loss, points, "",
        "Step 2 is at given losses; both in a row include the uncertainty of step 1.",
    )  # fmt: skip
    return figure


def _check(table: pd.DataFrame, *columns: str) -> None:
    if missing := [c for c in (*columns, *NEEDED) if c not in table.columns]:
        raise ValueError(
            f"expected a table of trajectory with intervals of 50 and 90%, but it lacks {missing}"
        )
    if not len(table):
        raise ValueError("expected a table with at least one point, but it has no rows")
    if (n := table["family"].nunique()) > len(STYLES):
        raise ValueError(
            f"expected at most {len(STYLES)} families, one per line style, but got {n}: "
            "leave some out"
        )


def _styles(table: pd.DataFrame) -> dict[str, tuple[str, Any, str]]:
    return dict(zip(dict.fromkeys(table["family"]), STYLES, strict=False))


def _draw(
    ax: Axes,
    table: pd.DataFrame,
    points: pd.DataFrame | None,
    x: str,
    y: str,
    asked: pd.DataFrame | None = None,
) -> int:
    """Draw bands, points and marks; returns the number of points and marks with no known place on the axis."""
    left_out = 0
    for family, (colour, line, marker) in _styles(table).items():
        rows = table[table["family"] == family].sort_values(x)
        for level, opacity in (("90", 0.15), ("50", 0.25)):
            ax.fill_between(
                rows[x], rows[f"lower_{level}"], rows[f"upper_{level}"], color=colour,
                alpha=opacity, linewidth=0,
            )  # fmt: skip
        ax.plot(rows[x], rows["median"], color=colour, linestyle=line, linewidth=1.6)
        if asked is not None:
            left_out += _mark(ax, asked[asked["family"] == family], rows, x, colour)
        if points is None:
            continue
        own = points[(points["family"] == family) & points[y].notna()]
        left_out += int(own[x].isna().sum())
        for hidden, pale in itertools.product((False, True), repeat=2):
            at = own[(own["held_out"] == hidden) & (_pale(own, rows) == pale) & own[x].notna()]
            ax.scatter(
                at[x], at[y], 48 if hidden else 18, marker=marker, zorder=3 if pale else 4,
                facecolor="white" if hidden else colour, alpha=PALE_OPACITY if pale else 1.0,
                edgecolor=colour if hidden else "white", linewidth=1.5 if hidden else 0.4,
            )  # fmt: skip
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize="small")
    return left_out


def _mark(ax: Axes, asked: pd.DataFrame, rows: pd.DataFrame, x: str, colour: str) -> int:
    """Mark the models asked for of the family of a curve; returns the number without a known place."""
    for pale in (False, True):
        at = asked[(_pale(asked, rows) == pale) & asked[x].notna()]
        opacity = PALE_OPACITY if pale else 1.0
        ax.vlines(at[x], at["lower_90"], at["upper_90"], color=colour, linewidth=1.4, alpha=opacity)
        ax.scatter(
            at[x], at["median"], 110, marker="*", facecolor="white", edgecolor=colour,
            linewidth=1.2, zorder=5, alpha=opacity,
        )  # fmt: skip
    return int(asked[x].isna().sum())


def _quantity(table: pd.DataFrame, of: str, points: pd.DataFrame | None) -> str:
    """The quantity of the bands, with the unit of a loss if known."""
    units = set() if points is None or of != "loss" else set(points["unit"].dropna())
    unit = f" ({units.pop()})" if len(units) == 1 else ""
    return f"{'expected ' if table.attrs.get('kind') == 'mean' else ''}{of}{unit}"


def _fixed(rows: pd.DataFrame) -> str:
    """What is constant along the curve of a family: a key of `CONSTANT`."""
    for name in ("tokens", "params"):
        if rows[name].nunique(dropna=False) == 1:
            return name
    return "ratio"


def _value(rows: pd.DataFrame, fixed: str) -> pd.Series:
    return rows["tokens"] / rows["params"] if fixed == "ratio" else rows[fixed]


def _same(rows: pd.DataFrame) -> str:
    """What is constant along the curve of a family, in words."""
    fixed = _fixed(rows)
    value = _value(rows, fixed).iloc[0]
    return f"{'unknown' if np.isnan(value) else short(value)} {CONSTANT[fixed]}"


def _pale(points: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Whether the constant of a model is far from that of a curve; never for a curve along losses."""
    if "params" not in rows:
        return pd.Series(False, points.index)
    fixed = _fixed(rows)
    ratio = _value(points, fixed) / _value(rows, fixed).iloc[0]
    return (ratio > MAX_RATIO_TO_CURVE) | (ratio < 1 / MAX_RATIO_TO_CURVE)


def _finish(
    figure: Figure, table: pd.DataFrame, points: pd.DataFrame | None, axis: str, more: str
) -> None:
    """Add the legend above and the caption below."""
    from matplotlib.lines import Line2D

    handles = []
    for family, (colour, line, marker) in _styles(table).items():
        rows = table[table["family"] == family]
        new = ", a new family" if (rows["kind"] == "new family").all() else ""
        label, shape = f"{family}: {_same(rows)}{new}", None if points is None else marker
        handles.append(Line2D([], [], color=colour, linestyle=line, marker=shape, label=label))
    figure.legend(
        handles=handles, loc="outside upper center", ncols=min(3, len(handles)), frameon=False,
        fontsize="small", handlelength=3,
    )  # fmt: skip
    lines = [axis, f"Line: median, bands: 50% and 90% intervals{from_draws(table)}."]
    if points is not None:
        lines += [
            "Small and filled: measured, seen by the fit. Large and open: held out.",
            f"Pale: {CONSTANT[_fixed(rows)]} more than a factor of {MAX_RATIO_TO_CURVE:g} off the curve's.",
        ]
    figure.supxlabel("\n".join(line for line in (*lines, more) if line), size="small")
