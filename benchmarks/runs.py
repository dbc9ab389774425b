"""What the benchmarks share: the options of a run, its figures, and where they go."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd


def options(doc: str, **sizes: int) -> argparse.ArgumentParser:
    """Parser with --out, and with an option and its default for each size of a fit."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser


def sizes(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `fit` that the options set; no progress bar."""
    return {k: getattr(args, k) for k in ("draws", "warmup", "chains")} | {"progress": False}


def report(args: argparse.Namespace, summary: Any) -> None:
    """Print the figures as JSON, and write them to summary.json."""
    text = json.dumps(summary, indent=2)
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "summary.json").write_text(text + "\n")


def inside(table: pd.DataFrame, percent: int) -> pd.Series:
    return table["observed"].between(table[f"lower_{percent}"], table[f"upper_{percent}"])
