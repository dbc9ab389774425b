"""Leave-one-model-out: importance sampling from one fit beside exact refits.

    python -m benchmarks.leave_one_out --out out/leave_one_out

Fits Sloth to the v1 table of its paper and leaves single models out: by Pareto-smoothed importance
sampling from the one fit, without and with moment matching, and by fitting again. Writes models.csv and
summary.json.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

import scalebayes as sb
from benchmarks.runs import options, report, sizes
from benchmarks.sloth_data import protocol
from scalebayes.comparison import joint_of_models, pieces
from scalebayes.diagnostics import ConvergenceWarning
from scalebayes.folds import each_model

GOOD = 0.7


def main() -> None:
    parser = options(__doc__, draws=1000, warmup=700, chains=2)
    parser.add_argument("--models", type=int, default=36, help="how many models to fit without")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # verdicts are reported
    observations, _ = protocol("v1", 1, joint=False)
    fit = sb.fit(sb.Sloth(), observations, seed=0, **sizes(args))
    print(fit.verdict, flush=True)
    found, seconds = {}, {}
    for name, moment_match in (("by_importance", False), ("by_matching", True)):
        started = time.perf_counter()
        found[name] = pieces(fit, "model", moment_match=moment_match, refit=False)
        seconds[name] = round(time.perf_counter() - started, 1)
    folds = each_model(observations)
    chosen = np.linspace(0, len(folds) - 1, args.models).round().astype(int)
    started = time.perf_counter()
    exact = sb.cross_validate(
        sb.Sloth(),
        observations,
        [folds[i] for i in chosen],
        seed=1,
        folder=args.out / "folds",
        **sizes(args),
    )
    refits = time.perf_counter() - started
    raw, matched = found["by_importance"], found["by_matching"]
    table = raw.labels.iloc[chosen].reset_index(drop=True)
    for name, one in found.items():
        table[name] = one.log_density[chosen]
    table["by_refit"] = exact.folds["log_score"]
    table["passed"] = exact.folds["passed"]
    table["pareto_k"], table["k_matched"] = raw.pareto_k[chosen], matched.pareto_k[chosen]
    table["difference"] = table["by_importance"] - table["by_refit"]
    table["difference_matched"] = table["by_matching"] - table["by_refit"]
    table["error"] = np.hypot(monte_carlo_error(fit)[chosen], exact.folds["log_score_se"])
    table["within_two"] = table["difference"].abs() <= 2 * table["error"]
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out / "models.csv", index=False)
    print(table.round(3).to_string(index=False))
    good, others = (table[rows] for rows in (table["pareto_k"] < GOOD, table["pareto_k"] >= GOOD))
    rescued = others[others["k_matched"] < GOOD]
    report(
        args,
        {
            "models": len(table),
            "good": len(good),
            "good_within_two_errors": int(good["within_two"].sum()),
            "good_mean_absolute_difference": mean_of(good["difference"].abs()),
            "good_mean_error": mean_of(good["error"]),
            "k_of_the_others": others.set_index("fold")[["pareto_k", "k_matched"]]
            .round(2)
            .to_dict("index"),
            "others_mean_absolute_difference": mean_of(others["difference"].abs()),
            "rescued_by_matching": len(rescued),
            "rescued_mean_absolute_difference": {
                "before": mean_of(rescued["difference"].abs()),
                "after": mean_of(rescued["difference_matched"].abs()),
            },
            "models_over_threshold": {
                "before": int((raw.pareto_k > raw.good_k).sum()),
                "after": int((matched.pareto_k > matched.good_k).sum()),
                "of": len(folds),
            },
            "seconds": seconds,
            "seconds_a_refit": round(refits / len(table), 1),
        },
    )


def mean_of(values: pd.Series) -> float:
    """Mean, rounded."""
    return round(float(values.mean()), 4)


def monte_carlo_error(fit: sb.Fit) -> np.ndarray:
    """Monte Carlo error of each model's log density by importance sampling, shape (model,)."""
    density = joint_of_models(fit)  # (chain, draw, model)
    n = density.shape[0] * density.shape[1]
    errors = []
    for k in range(density.shape[2]):
        weight, _ = array_stats.psislw(density[..., k].ravel(), r_eff=1.0)
        weight = np.exp(weight - np.max(weight))
        weight /= weight.sum()
        value = np.exp(density[..., k].ravel() - density[..., k].max())
        mean = (weight * value).sum()
        ess = float(array_stats.ess(density[..., k], method="bulk"))
        errors.append(np.sqrt((weight**2 * (value - mean) ** 2).sum() * n / ess) / mean)
    return np.array(errors)


if __name__ == "__main__":
    main()
