"""Leave-one-model-out: importance sampling from one fit beside exact refits.

    python -m benchmarks.leave_one_out --out out/leave_one_out

Fits Sloth to the v1 table of its paper and leaves single models out: by Pareto-smoothed importance
sampling from the one fit, without and with moment matching, and by fitting again: from the draws of the
refit alone, and by bridge sampling from those of both fits. Differences are set beside their Monte Carlo
standard errors. Writes models.csv and summary.json.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

import scalebayes as sb
from benchmarks.runs import options, report, sampler
from benchmarks.sloth_data import protocol
from scalebayes.data.folds import each_model
from scalebayes.evaluation.evidence import pieces
from scalebayes.evaluation.refits import densities, with_both
from scalebayes.inference.diagnostics import ConvergenceWarning

GOOD = 0.7


def main() -> None:
    parser = options(__doc__, draws=2000, warmup=700, chains=2)
    parser.add_argument("--models", type=int, default=40, help="how many models to fit without")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # verdicts are reported
    observations, _ = protocol("v1", 1, joint=False)
    fit = sb.fit(sb.Sloth(), observations, seed=0, sampler=sampler(args))
    print(fit.verdict, flush=True)
    found, seconds = {}, {}
    for name, moment_match in (("by_importance", False), ("by_matching", True)):
        started = time.perf_counter()
        found[name] = pieces(fit, "model", moment_match=moment_match, refit=False)
        seconds[name] = round(time.perf_counter() - started, 1)
    folds = each_model(observations)
    chosen = np.linspace(0, len(folds) - 1, args.models).round().astype(int)
    started = time.perf_counter()
    left_out = [folds[i] for i in chosen]
    exact = sb.cross_validate(
        sb.Sloth(), observations, left_out, seed=1, folder=args.out / "folds", sampler=sampler(args)
    )
    bridged = with_both(exact, densities(fit, left_out)).folds
    refits = time.perf_counter() - started
    table = found["by_importance"].labels.iloc[chosen].reset_index(drop=True)
    table["by_refit"], table["by_bridge"] = exact.folds["log_score"], bridged["log_score"]
    table["passed"] = exact.folds["passed"]
    summary: dict[str, Any] = {}
    for name, one in found.items():
        k = table[f"{name}_k"] = one.pareto_k[chosen]
        summary[name] = {
            "models_over_threshold": int(one.unsure.sum()),
            "of": len(folds),
            "seconds": seconds[name],
        }
        for reference, of_models in (("refit", exact.folds), ("bridge", bridged)):
            difference = one.log_density[chosen] - of_models["log_score"]
            error = np.hypot(one.mcse[chosen], of_models["log_score_se"])
            own = pd.DataFrame(
                {"difference": difference, "error": error, "within": abs(difference) <= 2 * error}
            )
            table = table.join(own.add_prefix(f"{name}_{reference}_"))
            summary[name][f"against_{reference}"] = {
                "k below 0.7": figures(own[k < GOOD]),
                "k from 0.7 on": figures(own[k >= GOOD]),
            }
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out / "models.csv", index=False)
    print(table.round(3).to_string(index=False))
    bad = table.loc[table["by_matching_k"] >= GOOD, ["fold", "by_importance_k", "by_matching_k"]]
    report(
        args,
        {
            "models": len(table),
            **summary,
            "k_from_0.7_on_after_matching": bad.round(2).to_dict("records"),
            "refits_that_passed": int(table["passed"].sum()),
            "seconds_a_refit": round(refits / len(table), 1),
        },
    )


def figures(own: pd.DataFrame) -> dict[str, float]:
    """How far models left out by weights are from refits."""
    return {
        "models": len(own),
        "within_two_errors": int(own["within"].sum()),
        "mean_difference": round(float(own["difference"].mean()), 3),
        "mean_absolute_difference": round(float(own["difference"].abs().mean()), 3),
        "mean_error": round(float(own["error"].mean()), 3),
    }


if __name__ == "__main__":
    main()
