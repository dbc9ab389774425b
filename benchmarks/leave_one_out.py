"""Leave-one-model-out: importance sampling from one fit beside exact refits.

    python -m benchmarks.leave_one_out --out out/leave_one_out

Fits Sloth to the v1 table of its paper and leaves single models out: by Pareto-smoothed importance
sampling from the one fit, and by fitting again. Writes models.csv and summary.json.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from arviz_stats.base import array_stats

import scalebayes as sb
from benchmarks.runs import options, report, sizes
from benchmarks.sloth_data import protocol
from scalebayes.comparison import joint_of_models
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
    started = time.perf_counter()
    fast = sb.compare({"a": fit, "b": fit}, by="model", refit=False)
    seconds = (time.perf_counter() - started) / 2
    folds = each_model(observations)
    chosen = np.linspace(0, len(folds) - 1, args.models).round().astype(int)
    settings = {k: v for k, v in sizes(args).items() if k != "progress"}
    started = time.perf_counter()
    exact = sb.cross_validate(
        sb.Sloth(),
        observations,
        [folds[i] for i in chosen],
        seed=1,
        folder=args.out / "folds",
        **settings,
    )
    refits = time.perf_counter() - started
    table = fast.evidence.iloc[chosen][["fold", "n_scores"]].reset_index(drop=True)
    table["pareto_k"] = fast.pareto_k["a"].to_numpy()[chosen]
    table["by_importance"] = fast.evidence["a"].to_numpy()[chosen]
    table["by_refit"] = exact.folds["log_score"]
    table["passed"] = exact.folds["passed"]
    table["difference"] = table["by_importance"] - table["by_refit"]
    table["error"] = np.hypot(monte_carlo_error(fit)[chosen], exact.folds["log_score_se"])
    table["within_two"] = table["difference"].abs() <= 2 * table["error"]
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out / "models.csv", index=False)
    print(table.round(3).to_string(index=False))
    good = table[table["pareto_k"] < GOOD]
    report(
        args,
        {
            "models": len(table),
            "good": len(good),
            "good_within_two_errors": int(good["within_two"].sum()),
            "good_mean_absolute_difference": round(float(good["difference"].abs().mean()), 4),
            "good_mean_error": round(float(good["error"].mean()), 4),
            "k_of_the_others": table[table["pareto_k"] >= GOOD]
            .set_index("fold")["pareto_k"]
            .round(2)
            .to_dict(),
            "others_mean_absolute_difference": round(
                float(table[table["pareto_k"] >= GOOD]["difference"].abs().mean()), 4
            ),
            "seconds_importance": round(seconds, 1),
            "seconds_a_refit": round(refits / len(table), 1),
        },
    )


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
