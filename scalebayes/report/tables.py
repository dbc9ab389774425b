"""Tables as text on standard output, and values as JSON."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scalebayes.prediction.ranges import RANGE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE_WIDTH = 10_000
"""Width of lines in a file or pipe, in characters, so that nothing is folded."""


def show(table: pd.DataFrame, *, title: str = "", group: str = "") -> None:
    """Print a table on standard output, with lines on a terminal and as plain columns elsewhere.

    Long names are folded on a narrow terminal, never cut.

    Args:
        table: The table; floats are shown with three decimals, missing values as a dash.
        title: A line above the table.
        group: A column whose repeated values are shown once.
    """
    terminal = sys.stdout.isatty()
    if title:
        print(f"{title}\n")
    drawn = Table(
        box=box.SIMPLE_HEAD if terminal else None,
        pad_edge=terminal,
        header_style="bold",
        padding=(0, 1) if terminal else (0, 2, 0, 0),
    )
    for name in table.columns:
        number = pd.api.types.is_numeric_dtype(table[name].dtype)
        drawn.add_column(
            Text(str(name)),
            justify="right" if number else "left",
            no_wrap=number or str(name).endswith("%"),
            overflow="fold",
        )
    before: Any = None
    for row in table.to_dict("records"):
        cells = [cell(value) for value in row.values()]
        if group:
            if before is not None and row[group] != before:
                drawn.add_section()
            elif before is not None and terminal:
                cells[list(row).index(group)] = ""
            before = row[group]
        drawn.add_row(*(Text(text) for text in cells))
    Console(width=None if terminal else FILE_WIDTH, highlight=False).print(drawn)


def intervals_as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Join each pair lower_p and upper_p into one column "p%" such as "0.615 to 0.702"."""
    joined = table.drop(columns=[c for c in table.columns if c.startswith(("lower_", "upper_"))])
    for level in levels(table):
        joined[f"{level}%"] = [
            f"{low:.3f} to {high:.3f}"
            for low, high in zip(table[f"lower_{level}"], table[f"upper_{level}"], strict=True)
        ]
    return joined


def predictions_as_text(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `predict` for readers: intervals joined, and last how far each model lies past the seen range.

    The column ratio_outside is left out where all models are inside, to two decimals.
    """
    joined = intervals_as_text(table.drop(columns=["mean", "kind", *RANGE_COLUMNS]))
    flops, ratio = RANGE_COLUMNS
    joined[flops] = table[flops]
    return (
        joined.assign(**{ratio: table[ratio]})
        if table[ratio].fillna(0.0).round(2).any()
        else joined
    )


def levels(table: pd.DataFrame) -> list[str]:
    """Levels of the intervals of a table in percent, as in its column names: "50", "90"."""
    return [str(c).removeprefix("lower_") for c in table.columns if str(c).startswith("lower_")]


def to_json(value: Any) -> str:
    """Values as JSON text: a DataFrame as a list of rows, a missing number as null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False)


def cell(value: Any) -> str:
    """A value as text: floats with three decimals, a missing value as a dash."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return _items(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _items(values: Sequence[Any]) -> list[Any]:
    return [_plain(v) for v in values]
