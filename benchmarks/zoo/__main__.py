"""The zoo: every real table that the project can reach, its larger models predicted from the smaller ones.

    python -m benchmarks.zoo --out out/zoo [--tables pythia dclm] [--methods Sloth "line in log C"]

Laws and simple opponents are judged on the same values: how many fits converged, error, CRPS (also as a ratio to
that of the best opponent of the table), coverage of 50% and 90% intervals, width, seconds. Scores are in points.
The last table is the verdict: which targets of `benchmarks.zoo.figures` each law misses, and where.
Every finished fold of a law is kept in the folder as CSV, and read when the zoo is run again with the same law, data,
sampler and code. Tables of role `test` are left out unless `--release` is given. Writes zoo.csv and summary.json.

A table is added as a file in benchmarks/zoo/tables.
"""

from __future__ import annotations

import warnings

import pandas as pd

from benchmarks.runs import options, report, sampler
from benchmarks.zoo.figures import judged, missed, pooled, records, verdict, with_ratios
from benchmarks.zoo.predictions import methods, of_fold
from benchmarks.zoo.table import entries
from scalebayes.inference.diagnostics import ConvergenceWarning


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
            cells = [
                of_fold(args.out / "folds", sampler(args), table.observations, method, fold)
                for fold in table.folds
            ]
            one = judged(pd.concat(cells))
            rows.append(one.assign(table=entry.name, role=entry.role, method=name))
            print(rows[-1].to_string(index=False, header=len(rows) == 1), flush=True)
    result = with_ratios(pd.concat(rows, ignore_index=True))
    of_all = pooled(result)
    targets = missed(result, of_all)
    args.out.mkdir(parents=True, exist_ok=True)
    result.to_csv(args.out / "zoo.csv", index=False)
    found = {"zoo": result, "pooled": of_all, "missed_targets": targets}
    report(args, {name: records(own) for name, own in found.items()})
    for own in (result, of_all):
        print(f"\n{own.round(3).to_string(index=False)}")
    print(f"\n{verdict(targets)}")


if __name__ == "__main__":
    main()
