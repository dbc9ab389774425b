"""`condition` against a refit: a new family's smallest model arrives, its larger ones are predicted.

    python -m benchmarks.conditioning --out out/conditioning

For each of several families of the v1 table: fit all others, condition on the family's smallest
model, and predict its larger models; then fit again with that model in training. The table gives the
differences of medians and of the ends of the 90% intervals in points, beside the width of those
intervals and the differences between two refits with different seeds, which is what Monte Carlo
error alone does.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd

import scalebayes as sb
from benchmarks.runs import options, report, sampler
from benchmarks.sloth_data import protocol
from scalebayes.inference.diagnostics import ConvergenceWarning

FAMILIES = ("llama-2", "pythia", "qwen1.5", "bloom", "yi-1.5", "opt")
COLUMNS = ["median", "lower_90", "upper_90"]


def main() -> None:
    args = options(__doc__, draws=1500, warmup=700, chains=2).parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    table, _ = protocol("v1", 1, joint=False)
    law = sb.Sloth()

    rows = []
    for family in FAMILIES:
        models = table.models[table.models["family"] == family].sort_values("params")
        smallest, larger = models["model"].iloc[0], models.iloc[1:]
        others = table.without(families=[family])
        before = sb.fit(law, others, seed=0, sampler=sampler(args))
        for _ in range(2):  # the second call finds everything compiled
            started = time.perf_counter()
            conditioned = sb.condition(before, table.only(models=[smallest]))
            condition_seconds = time.perf_counter() - started
        started = time.perf_counter()
        refits = [
            sb.fit(law, table, seed=seed, hold_out=larger["model"].tolist(), sampler=sampler(args))
            for seed in (1, 2)
        ]
        refit_seconds = (time.perf_counter() - started) / 2
        answers = [sb.predict(f, larger)[COLUMNS].to_numpy() for f in (conditioned, *refits)]
        about = conditioned.provenance["conditioned"][0]
        rows.append(
            {
                "family": family,
                "cells": len(answers[0]),
                "pareto_k": about["pareto_k"],
                "effective_draws": about["effective_draws"],
                "mean_difference": 100 * np.abs(answers[0] - answers[1])[:, 0].mean(),
                "largest_difference": 100 * np.abs(answers[0] - answers[1])[:, 0].max(),
                "mean_difference_of_ends": 100 * np.abs(answers[0] - answers[1])[:, 1:].mean(),
                "refits_mean_difference": 100 * np.abs(answers[2] - answers[1])[:, 0].mean(),
                "refits_mean_difference_of_ends": 100
                * np.abs(answers[2] - answers[1])[:, 1:].mean(),
                "mean_width": 100 * (answers[1][:, 2] - answers[1][:, 1]).mean(),
                "condition_seconds": condition_seconds,
                "refit_seconds": refit_seconds,
            }
        )
        print(f"{family} done", flush=True)
    result = pd.DataFrame(rows).set_index("family").round(3)
    print(result.T.to_string())
    report(args, result.to_dict(orient="index"))


if __name__ == "__main__":
    main()
