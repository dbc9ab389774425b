"""Few families: on simulated tables of one, two and three families, how well are the largest models predicted?

    python -m benchmarks.few_families --out out/few_families [--tables 200] [--laws Sloth FamilyIntercept]

Every law, and `fit_best`, is fitted at its defaults to tables of `benchmarks.few_families.generator`, which is none of
the laws, and predicts the larger models of every family, as in `benchmarks.zoo`, beside the same simple opponents. It
tells how many fits converged, CRPS (also as a ratio to that of the best opponent over the same tables), coverage of
50% and 90% intervals, width and seconds a fit, by number of families and pooled. Tables are independent, values of one
table are not: standard errors are those of means over tables. Finished fits are kept in the folder and read by a later
run, so that --tables can be raised. Writes few_families.csv and summary.json.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from benchmarks.few_families.generator import simulated
from benchmarks.runs import SCORE_LAWS, options, report, sampler
from benchmarks.zoo.figures import MAX_RATIO, judged, misses, records, verdict, with_ratios
from benchmarks.zoo.opponents import OPPONENTS
from benchmarks.zoo.predictions import methods, of_fold
from benchmarks.zoo.table import Table
from scalebayes.inference.diagnostics import ConvergenceWarning

COVERAGE = (0.87, 0.93)
"""Range of the pooled coverage of 90% intervals that laws are held to."""


def main() -> None:
    parser = options(__doc__, tables=200, draws=1000, warmup=1000, chains=4)
    laws = ["fit_best", *SCORE_LAWS]
    parser.add_argument("--laws", nargs="+", choices=laws, default=laws)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # verdicts are reported
    parts = []
    for number in range(args.tables):
        shape, observations, fold = simulated(number)
        for name, method in methods(Table(observations, [fold])).items():
            if name not in args.laws and name not in OPPONENTS:
                continue
            cells = of_fold(args.out / "folds", sampler(args), observations, method, fold)
            parts.append(cells.assign(method=name, families=shape.families))
        print(f"\r{number + 1} of {args.tables}", end="", flush=True)
    result = by_families(pd.concat(parts, ignore_index=True))
    args.out.mkdir(parents=True, exist_ok=True)
    result.to_csv(args.out / "few_families.csv", index=False)
    of_laws = result[result["method"].isin(args.laws) & (result["families"] == "all")]
    targets = pd.DataFrame(
        [
            miss
            for _, row in of_laws.rename(columns={"tables": "folds"}).iterrows()
            for miss in misses(row, COVERAGE, MAX_RATIO, {"method": row["method"]})
        ]
    )
    report(args, {"figures": records(result), "missed_targets": records(targets)})
    print(f"\n{result.round(3).to_string(index=False)}\n\n{verdict(targets)}")


def by_families(cells: pd.DataFrame) -> pd.DataFrame:
    """Figures of each method by number of families, and over all tables in rows of families `all`."""
    groups = [(str(n), own) for n, own in cells.groupby("families")] + [("all", cells)]
    rows = [
        judged(own).assign(table=name, role="simulated", method=method, se_90=se_of_coverage(own))
        for name, in_group in groups
        for method, own in in_group.groupby("method", sort=False)
    ]
    every = pd.concat(rows, ignore_index=True)
    found = with_ratios(every).drop(columns=["role", "of", "best_opponent"])
    found.insert(found.columns.get_loc("coverage_90") + 1, "se_90", every["se_90"])
    found["seconds_a_fit"] = found.pop("seconds") / found["folds"]
    return found.rename(columns={"table": "families", "folds": "tables"})


def se_of_coverage(cells: pd.DataFrame) -> float:
    """Standard error of the share of values inside 90% intervals: of a ratio of sums over independent tables."""
    of_table = cells.groupby("fold")["inside_90"].agg(["sum", "size"])
    n = len(of_table)
    if n < 2:
        return float("nan")
    off = of_table["sum"] - cells["inside_90"].mean() * of_table["size"]
    return float(np.sqrt(n / (n - 1) * (off**2).sum()) / len(cells))


if __name__ == "__main__":
    main()
