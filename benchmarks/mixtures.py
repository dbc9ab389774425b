"""Mixtures of training data: domain losses at 60M and 1B from runs of 1M and a few larger ones.

    python -m benchmarks.mixtures --out out/mixtures

FLP-M is fitted to the mixtures of 1M models and to `--anchors` runs of 60M and of 1B, which tell what
scale does, and predicts the losses of all other runs. Beside it, in the same run: a linear regression
of the log loss on the weights, the naive alternative. Writes predictions.csv and summary.json. The
data are those of RegMix, https://arxiv.org/abs/2407.01492.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import scalebayes as sb
from benchmarks.runs import options, report, sampler, use_data
from scalebayes.evaluation import scoring
from scalebayes.inference.diagnostics import ConvergenceWarning


def main() -> None:
    parser = options(__doc__, draws=1000, warmup=1000, chains=4)
    parser.add_argument("--small", type=int, default=256, help="runs of 1M to fit")
    parser.add_argument("--anchors", type=int, default=8, help="runs of 60M, and of 1B, to fit")
    args = parser.parse_args()
    use_data("regmix")
    warnings.simplefilter("ignore", ConvergenceWarning)  # the verdict is reported
    args.out.mkdir(parents=True, exist_ok=True)
    observations = sb.datasets.regmix()
    names = observations.models["model"]
    small = names[names.str.startswith("1m-train")].tolist()[: args.small]
    larger = {size: names[names.str.startswith(size)].tolist() for size in ("60m", "1b")}
    anchors = [m for models in larger.values() for m in models[: args.anchors]]
    seen = observations.only(models=[*small, *anchors])
    started = time.perf_counter()
    fit = sb.fit(sb.FlpM(), seen, seed=0, sampler=sampler(args, target_accept=0.98))
    print(fit.verdict, fit.provenance["seconds"], flush=True)

    rows = []
    for size, models in larger.items():
        truth = observations.only(models=models[args.anchors :])
        table = scoring.scores(sb.held_out(fit, truth, of="loss")).assign(size=size)
        rows.append(table.merge(linear(observations.only(models=small), truth)))
    table = pd.concat(rows)
    table.to_csv(args.out / "predictions.csv", index=False)
    found = table.groupby(["size", "domain"], sort=False).apply(figures, include_groups=False)
    print(found.round(3).to_string())
    overall = table.groupby("size", sort=False).apply(figures, include_groups=False)
    web = found.xs("pile_cc", level="domain")
    best = optimum(fit)
    print(best.round(3).to_string())
    report(
        args,
        {
            "runs_fitted": len(seen.models),
            "pile_cc_rank_correlation": web["rank"].round(4).to_dict(),
            "pile_cc_rank_correlation_linear": web["rank_linear"].round(4).to_dict(),
            "by_size": overall.round(4).to_dict("index"),
            "coverage_90": round(float(table["inside_90"].mean()), 4),
            "coverage_50": round(float(table["inside_50"].mean()), 4),
            "best_mixture_for_the_mean_loss_at_1b": best.round(4).to_dict("index"),
            "verdict": str(fit.verdict),
            "seconds": round(time.perf_counter() - started, 1),
        },
    )


def figures(table: pd.DataFrame) -> pd.Series:
    """Relative error and bias of the median, coverage, and rank correlation with the losses."""
    relative = table["median"] / table["observed"] - 1
    return pd.Series(
        {
            "cells": len(table),
            "error_percent": 100 * relative.abs().mean(),
            "bias_percent": 100 * relative.mean(),
            "coverage_90": table["inside_90"].mean(),
            "coverage_50": table["inside_50"].mean(),
            "rank": spearmanr(table["median"], table["observed"])[0],
            "rank_linear": spearmanr(table["linear"], table["observed"])[0],
        }
    )


def linear(small: sb.Observations, larger: sb.Observations) -> pd.DataFrame:
    """Log losses that a linear regression on weights at 1M gives: they tell ranks, not levels."""
    X, new = (
        o.mixtures.pivot(index="model", columns="source", values="weight") for o in (small, larger)
    )
    y = np.log(small.losses.pivot(index="model", columns="domain", values="loss").loc[X.index])
    weights, *_ = np.linalg.lstsq(X.to_numpy(), y.to_numpy(), rcond=None)
    found = pd.DataFrame(new.to_numpy() @ weights, index=new.index, columns=y.columns)
    return found.melt(ignore_index=False, value_name="linear").reset_index()


def optimum(fit: sb.Fit) -> pd.DataFrame:
    """The mixture with the lowest mean loss over all domains for 1B parameters and 25B tokens."""
    aim = dict.fromkeys(fit.observations.domains, 1.0)
    best = sb.best_mixture(fit, family="regmix", params=1e9, tokens=25e9, losses=aim)
    print(f"largest gap to the optimum {float((best.gap / best.value).max()):.1e} of the loss")
    return best.weights.set_index("source")


if __name__ == "__main__":
    main()
