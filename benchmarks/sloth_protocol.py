"""The published protocol of Sloth: predict the larger models of families from their smallest.

    python -m benchmarks.sloth_protocol --leaderboard v1 --train-models 1 --out out/v1-1

writes predictions.csv and summary.json, and prints them beside the best published figure.
The v1 table with one training model is the development set: the default law was chosen on it. The
other tables are tests.
"""

from __future__ import annotations

import time
import warnings

import pandas as pd

import scalebayes as sb
from benchmarks.runs import options, report, sampler
from benchmarks.sloth_data import BENCHMARKS, PUBLISHED, protocol
from scalebayes.evaluation import scoring
from scalebayes.evaluation.heldout import held_out_in_table
from scalebayes.inference.diagnostics import ConvergenceWarning


def main() -> None:
    parser = options(__doc__, draws=2000, warmup=700, chains=2)
    parser.add_argument("--leaderboard", choices=BENCHMARKS, required=True)
    parser.add_argument("--train-models", type=int, choices=(1, 2), required=True)
    parser.add_argument("--joint", action="store_true", help="train on both leaderboards' rows")
    parser.add_argument("--folds", type=int, nargs="*", help="only these folds, for a quick look")
    args = parser.parse_args()
    benchmarks = BENCHMARKS[args.leaderboard]
    observations, folds = protocol(args.leaderboard, args.train_models, args.joint)

    rows, verdicts, started = [], {}, time.perf_counter()
    for number, fold in enumerate(folds):
        if args.folds is not None and number not in args.folds:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # reported fold by fold below
            fit = sb.fit(
                sb.Sloth(),
                observations,
                seed=number,
                hold_out=fold.hidden,
                sampler=sampler(args),
            )
        verdicts[number] = fit.verdict
        table = scoring.scores(held_out_in_table(fit)).assign(fold=number)
        tested = table["model"].isin(fold.predicted) & table["benchmark"].isin(benchmarks)
        rows.append(table[tested])
        steps = float(fit.tree["sample_stats"]["n_steps"].mean())
        print(
            f"fold {number:2d} {'+'.join(fold.families):<40.40} "
            f"error {100 * rows[-1]['error'].mean():5.2f}  {steps:.0f} steps  {fit.verdict}",
            flush=True,
        )
    seconds = time.perf_counter() - started

    table = pd.concat(rows)
    by_benchmark = (
        100 * table.groupby(["benchmark", "fold"])["error"].mean().groupby("benchmark").mean()
    )
    crps = 100 * table.groupby(["benchmark", "fold"])["crps"].mean().groupby("benchmark").mean()
    best = PUBLISHED[args.leaderboard, args.train_models]
    summary = {
        "leaderboard": args.leaderboard,
        "train_models": args.train_models,
        "joint": args.joint,
        "cells": len(table),
        "mae": by_benchmark.reindex(benchmarks).round(3).to_dict(),
        "mae_mean": round(float(by_benchmark.mean()), 3),
        "best_published_mae": best,
        "coverage_50": round(float(table["inside_50"].mean()), 4),
        "coverage_90": round(float(table["inside_90"].mean()), 4),
        "width_90": round(float((table["upper_90"] - table["lower_90"]).mean()), 4),
        "crps": round(float(crps.mean()), 3),
        "log_score": round(float(table["log_score"].mean()), 4),
        "seconds": round(seconds, 1),
        "max_rhat": round(max(v.max_rhat for v in verdicts.values()), 4),
        "min_ess": round(min(min(v.min_ess_bulk, v.min_ess_tail) for v in verdicts.values()), 1),
        "divergences": sum(v.divergences for v in verdicts.values()),
        "failed_folds": [n for n, v in verdicts.items() if not v.max_rhat <= 1.01 or v.divergences],
    }
    report(args, summary)
    columns = "fold model family benchmark observed mean median sd lower_50 upper_50 lower_90 upper_90 crps"
    table[columns.split()].to_csv(args.out / "predictions.csv", index=False)
    print(f"mean absolute error {summary['mae_mean']:.2f} points; best published {best:.2f}")


if __name__ == "__main__":
    main()
