"""The zoo: every real table that the project can reach, its larger models predicted from the smaller ones.

    python -m benchmarks.zoo --out out/zoo [--tables pythia dclm] [--methods Sloth "line in log C"]

Laws and simple opponents are judged on the same cells: whether the fits converged, error, CRPS (also as a ratio to
that of the best opponent of the table), coverage of 50% and 90% intervals, width, seconds. Scores are in points.
Every finished fold of a law is kept in the folder as CSV, and read when the zoo is run again with the same law, data,
sampler and code. Tables of role `test` are left out unless `--release` is given. Writes zoo.csv and summary.json.

A table is added as a file in benchmarks/zoo/tables.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import pandas as pd

import scalebayes as sb
from benchmarks.runs import SCORE_LAWS, options, report, sampler
from benchmarks.zoo.opponents import OPPONENTS, Opponent
from benchmarks.zoo.table import Table, entries
from scalebayes.data.folds import Fold, hidden
from scalebayes.evaluation import scoring
from scalebayes.evaluation.cross_validation import fingerprint, name_of_fold
from scalebayes.evaluation.heldout import held_out_in_table, holds_out
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.model.law import Law

FIGURES = ["error", "bias", "crps", "coverage_50", "coverage_90", "width_90"]


def main() -> None:
    parser = options(__doc__, draws=1000, warmup=1000, chains=4)
    names = [entry.name for entry in entries()]
    parser.add_argument("--tables", nargs="+", choices=names, default=names)
    parser.add_argument("--methods", nargs="+", help="names of laws and opponents; by default all")
    parser.add_argument("--release", action="store_true", help="with the tables of role test")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # verdicts are reported
    rows = []
    for entry in entries():
        if entry.name not in args.tables or (entry.role == "test" and not args.release):
            continue
        table = entry.table()
        for name, method in methods(table).items():
            if args.methods and name not in args.methods:
                continue
            one = judged(pd.concat([of_fold(args, table, method, fold) for fold in table.folds]))
            rows.append(one.assign(table=entry.name, role=entry.role, method=name))
            print(rows[-1].to_string(index=False, header=len(rows) == 1), flush=True)
    result = with_ratios(pd.concat(rows, ignore_index=True))
    args.out.mkdir(parents=True, exist_ok=True)
    result.to_csv(args.out / "zoo.csv", index=False)
    print(result.round(3).to_string(index=False))
    report(args, {"zoo": result.round(4).to_dict("records"), "pooled": pooled(result)})


def methods(table: Table) -> dict[str, Law | Opponent]:
    """Laws and opponents that suit a table, by name."""
    found: dict[str, Law | Opponent] = {}
    has_losses = bool(table.observations.domains)
    if table.observations.benchmarks:
        found |= SCORE_LAWS
    found |= table.loss_laws
    for name, opponent in OPPONENTS.items():
        if has_losses or name != "two lines":
            found[name] = opponent
    return found


def of_fold(
    args: argparse.Namespace, table: Table, method: Law | Opponent, fold: Fold
) -> pd.DataFrame:
    """Judged predictions of the scores and losses of one fold; those of a law are read if they are kept."""
    if isinstance(method, Law):
        return of_law(args, table.observations, method, fold)
    started = time.perf_counter()
    held = {"score": table.observations.scores, "loss": table.observations.losses}
    kinds = [of for of, rows in held.items() if hidden(rows, fold.hold_out).any()]
    found = beside_truth([method(table.observations, fold, of) for of in kinds])
    return found.assign(converged=True, rhat=float("nan"), seconds=time.perf_counter() - started)


def of_law(
    args: argparse.Namespace, observations: sb.Observations, law: Law, fold: Fold
) -> pd.DataFrame:
    """Fit a law without a fold and judge its predictions, or read what an equal fit has given."""
    settings = {"sampler": sampler(args)}
    shared = fingerprint(law, observations, 0, settings)
    path = args.out / "folds" / f"{name_of_fold(shared, fold)}.csv"
    if path.exists():
        return pd.read_csv(path)
    started = time.perf_counter()
    fit = sb.fit(law, observations, seed=0, hold_out=fold.hold_out, progress=False, **settings)
    found = beside_truth(
        [held_out_in_table(fit, of=of, name=fold.name) for of in holds_out(fit)]
    ).assign(
        converged=fit.verdict.passed,
        rhat=fit.verdict.max_rhat,
        seconds=time.perf_counter() - started,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(path, index=False)
    return found


def beside_truth(parts: list[sb.HeldOut]) -> pd.DataFrame:
    """Scores and losses in one table, benchmark or domain in the column `column`."""
    names = {"benchmark": "column", "domain": "column"}
    each = [scoring.scores(part).rename(columns=names).assign(of=part.of) for part in parts]
    return pd.concat(each)


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
                converged=f"{folds['converged'].sum()} of {len(folds)}",
                max_rhat=folds["rhat"].max(),
                seconds=folds["seconds"].sum(),
            )
        )
    return pd.concat(found, ignore_index=True)


def with_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the ratio of their CRPS to that of the best opponent of their table."""
    opponents = rows[rows["method"].isin(OPPONENTS)]
    best = opponents.groupby(["table", "of"])["crps"].min()
    at = pd.MultiIndex.from_frame(rows[["table", "of"]])
    first = ["table", "role", "of", "cells", "method", "converged", "max_rhat"]
    return rows.assign(crps_ratio=rows["crps"].to_numpy() / best.reindex(at).to_numpy())[
        [*first, *FIGURES, "crps_ratio", "seconds"]
    ]


def pooled(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Coverage over all scores, or losses, and the mean CRPS ratio over tables, by method."""
    found = []
    for (method, of), own in rows.groupby(["method", "of"], sort=False):
        share = own["cells"] / own["cells"].sum()
        found.append(
            {
                "method": method,
                "of": of,
                "tables": len(own),
                "cells": int(own["cells"].sum()),
                "coverage_50": round(float((share * own["coverage_50"]).sum()), 4),
                "coverage_90": round(float((share * own["coverage_90"]).sum()), 4),
                "mean_crps_ratio": round(float(own["crps_ratio"].mean()), 4),
            }
        )
    return found


if __name__ == "__main__":
    main()
