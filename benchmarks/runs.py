"""What the benchmarks share: the options of a run, which figures are shown, and where they are written."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import scalebayes as sb
from scalebayes.data.csv_files import DATA_FOLDER, data_folder

SCORE_LAWS = {
    "Sloth": sb.Sloth(),
    "ReducibleLoss": sb.ReducibleLoss(),
    "SizeAndTokens": sb.SizeAndTokens(),
    "FamilyIntercept": sb.FamilyIntercept(),
    "SharedIntercept": sb.SharedIntercept(),
}
"""The laws that need scores alone."""

FIGURES = ["scores", "error", "bias", "crps", "coverage_90", "coverage_50", "width_90"]
"""Columns of `scoring.figures` that tables and summaries show."""


def options(doc: str, **sizes: int) -> argparse.ArgumentParser:
    """Parser with --out, and with an option and its default for each size of a fit."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser


def sampler(args: argparse.Namespace, **settings: Any) -> sb.Nuts:
    """The sampler that the options set, with further settings of `Nuts`."""
    return sb.Nuts(draws=args.draws, warmup=args.warmup, chains=args.chains, **settings)


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
