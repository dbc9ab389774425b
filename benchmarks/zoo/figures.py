"""Figures of the zoo: by table and method, pooled over tables, and which targets a method misses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.zoo.opponents import OPPONENTS
from scalebayes.evaluation import scoring

FIGURES = ["error", "bias", "crps", "coverage_50", "coverage_90", "width_90"]
MIN_CELLS_OF_LARGE = 100
"""A table with at least as many held-out values is large."""
COVERAGE_OF_LARGE = (0.85, 0.95)
COVERAGE_OF_SMALL = (0.80, 0.98)
COVERAGE_POOLED = (0.88, 0.92)
MAX_RATIO = 1.0
"""Largest CRPS on a table, relative to that of its best opponent."""
MAX_RATIO_POOLED = 0.8


def judged(cells: pd.DataFrame) -> pd.DataFrame:
    """One row for the scores and one for the losses of a method on a table."""
    found = []
    for of, own in cells.groupby("of", sort=False):
        column = "benchmark" if of == "score" else "domain"
        one = scoring.figures(own.rename(columns={"column": column}))
        folds = own.drop_duplicates("fold")
        found.append(
            one[FIGURES].assign(
                of=of,
                cells=len(own),
                folds=len(folds),
                converged=int(folds["converged"].sum()),
                max_rhat=folds["rhat"].max(),
                seconds=folds["seconds"].sum(),
            )
        )
    return pd.concat(found, ignore_index=True)


def with_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the CRPS of the best opponent of their table, and the ratio of their own to it."""
    opponents = rows[rows["method"].isin(OPPONENTS)]
    best = opponents.groupby(["table", "of"])["crps"].min()
    at = pd.MultiIndex.from_frame(rows[["table", "of"]])
    rows = rows.assign(best_opponent=best.reindex(at).to_numpy())
    first = ["table", "role", "of", "cells", "method", "folds", "converged", "max_rhat"]
    return rows.assign(crps_ratio=rows["crps"] / rows["best_opponent"])[
        [*first, *FIGURES, "best_opponent", "crps_ratio", "seconds"]
    ]


def pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for all scores, and one for all losses, of each method.

    Coverage is over all held-out values. `crps_ratio` is the mean CRPS over all held-out values relative to that of
    the best opponents of their tables. `typical_ratio` is the geometric mean of the ratios of the tables, in
    which each table counts once: losses have several units, and a table with large errors dominates the first.
    """
    found = []
    for (method, of), own in rows.groupby(["method", "of"], sort=False):
        cells = own["cells"]
        compared = own[own["crps_ratio"].notna()]
        n = compared["cells"]
        found.append(
            {
                "method": method,
                "of": of,
                "tables": len(own),
                "cells": int(cells.sum()),
                "folds": int(own["folds"].sum()),
                "converged": int(own["converged"].sum()),
                "coverage_50": (cells * own["coverage_50"]).sum() / cells.sum(),
                "coverage_90": (cells * own["coverage_90"]).sum() / cells.sum(),
                "crps_ratio": (n * compared["crps"]).sum() / (n * compared["best_opponent"]).sum()
                if len(compared)
                else np.nan,
                "typical_ratio": np.exp(np.log(compared["crps_ratio"]).mean()),
            }
        )
    return pd.DataFrame(found)


def missed(rows: pd.DataFrame, of_all: pd.DataFrame) -> pd.DataFrame:
    """The targets that laws miss: one row a table, method and target, "all tables" for the pooled targets.

    Args:
        rows: From `with_ratios`.
        of_all: From `pooled`.
    """
    found = []
    for _, row in rows[~rows["method"].isin(OPPONENTS)].iterrows():
        where = {"table": row["table"], "of": row["of"], "method": row["method"]}
        large = row["cells"] >= MIN_CELLS_OF_LARGE
        coverage = COVERAGE_OF_LARGE if large else COVERAGE_OF_SMALL
        found += misses(row, coverage, MAX_RATIO, where)
    for _, row in of_all[~of_all["method"].isin(OPPONENTS)].iterrows():
        where = {"table": "all tables", "of": row["of"], "method": row["method"]}
        found += misses(row, COVERAGE_POOLED, MAX_RATIO_POOLED, where)
    return pd.DataFrame(found, columns=["table", "of", "method", "target", "found"])


def misses(
    row: pd.Series, coverage: tuple[float, float], ratio: float, where: dict[str, str]
) -> list[dict[str, str]]:
    """The targets that one row of figures misses: convergence, coverage of 90% intervals and CRPS.

    Args:
        row: Figures with folds, converged, coverage_90 and crps_ratio.
        coverage: Range that coverage is to lie in.
        ratio: Largest ratio of the CRPS to that of the best opponent.
        where: What names the row, the first columns of the result.
    """
    found = {}
    low, high = coverage
    if row["converged"] < row["folds"]:
        found["every fit converges"] = f"{row['converged']} of {row['folds']}"
    if not low <= row["coverage_90"] <= high:
        found[f"90% intervals cover {low:.0%} to {high:.0%}"] = f"{row['coverage_90']:.1%}"
    if not row["crps_ratio"] <= ratio:
        text = f"{row['crps_ratio']:.2f}" if row["crps_ratio"] > ratio else "no opponent was run"
        found[f"CRPS at most {ratio:g} of the best opponent's"] = text
    return [{**where, "target": target, "found": text} for target, text in found.items()]


def verdict(targets: pd.DataFrame) -> str:
    """The missed targets in words."""
    rows = f"\n{targets.to_string(index=False)}" if len(targets) else ""
    return f"Verdict: missed targets of laws: {len(targets)}{rows}"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table for JSON: rounded, and null where a figure is missing."""
    found: list[dict[str, Any]] = json.loads(table.round(4).to_json(orient="records"))
    return found
