"""What the benchmarks share: the options of a run, its figures, and where they go."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import scoringrules
import xarray as xr

import scalebayes as sb
from scalebayes.data.csv_files import DATA_FOLDER, data_folder


def options(doc: str, **sizes: int) -> argparse.ArgumentParser:
    """Parser with --out, and with an option and its default for each size of a fit."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser


def sizes(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `fit` and `cross_validate` that the options set."""
    return {k: getattr(args, k) for k in ("draws", "warmup", "chains")}


def report(args: argparse.Namespace, summary: Any) -> None:
    """Print the figures as JSON, and write them to summary.json."""
    text = json.dumps(summary, indent=2)
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "summary.json").write_text(text + "\n")


def use_data(name: str) -> Path:
    """Folder of a larger table, in the data folder, or in ../shared/data beside the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    if beside.is_dir():
        os.environ.setdefault(DATA_FOLDER, str(beside))
    folder = data_folder() / name
    if not folder.is_dir():
        raise SystemExit(
            f"no folder {folder}: run `scalebayes data get {name}`, or correct {DATA_FOLDER}"
        )
    return folder


def scored(draws: xr.DataArray, truth: pd.DataFrame, column: str = "benchmark") -> pd.DataFrame:
    """Intervals, error and CRPS of draws (chain, draw, model, column) beside the truth.

    Args:
        draws: Predictive draws.
        truth: One row a value: model, the column, observed.
        column: benchmark or domain.
    """
    table = truth[["model", column, "observed"]].reset_index(drop=True)
    stacked = draws.stack(sample=("chain", "draw")).transpose("model", column, "sample")
    at = [stacked.get_index(name).get_indexer(table[name]) for name in ("model", column)]
    cells = stacked.to_numpy()[at[0], at[1]]
    columns = sb.summary(cells)
    return table.assign(
        **columns,
        error=(columns["median"] - table["observed"]).abs(),
        crps=scoringrules.crps_ensemble(table["observed"].to_numpy(), cells),
    )


def figures(table: pd.DataFrame) -> pd.Series:
    """Error, bias, CRPS and width in points, and coverage."""
    return pd.Series(
        {
            "cells": len(table),
            "error": 100 * table["error"].mean(),
            "bias": 100 * (table["median"] - table["observed"]).mean(),
            "crps": 100 * table["crps"].mean(),
            "coverage_90": inside(table, 90).mean(),
            "coverage_50": inside(table, 50).mean(),
            "width_90": 100 * (table["upper_90"] - table["lower_90"]).mean(),
        }
    )


def inside(table: pd.DataFrame, percent: int) -> pd.Series:
    """One where the observed value lies in the interval, zero where not, NaN where there is none."""
    low, high = table[f"lower_{percent}"], table[f"upper_{percent}"]
    return table["observed"].between(low, high).astype(float).where(low.notna())
