"""Simulated truth: do 90% intervals hold the parameters that a table was simulated from?

    python -m benchmarks.simulated --out out/simulated

Draws the parameters from the priors, simulates a table of 16 families with three sizes and five
benchmarks, hides the largest model of every second family, fits, and counts how often the 50% and
90% intervals hold the truth: for each group of identified parameters, for the expected scores of
all models, and for the hidden models' scores. Loadings are judged by what they identify, the
covariance of families over benchmarks (Lam Lam' + diag(omega)^2).
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import scalebayes as sb
from benchmarks.runs import options, report, sampler
from scalebayes.evaluation import scoring
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.model.design import Reference
from scalebayes.prediction.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

BENCHMARKS = {"knowledge": 0.25, "reasoning": 0.25, "pronouns": 0.5, "maths": 0.0, "code": 0.1}
N_FAMILY, N_SIZE, N_ITEMS = 16, 3, 2000
# Not judged under these names. The intercepts `a` are measured at the centre of each family's visible
# models: with a model hidden they are other quantities than those that were simulated.
DERIVED = {"lam", "loading", "leading", "omega", "a", "d", "z", "mu"}


def table() -> sb.Observations:
    """The models of the study: sizes about a factor of 4 apart, one token budget a family."""
    rng = np.random.default_rng(0)
    rows = []
    for f in range(N_FAMILY):
        tokens, smallest = np.exp(rng.normal(27.6, 1.0)), np.exp(rng.normal(20.7, 0.7))
        for i in range(N_SIZE):
            params = smallest * 4.0**i * np.exp(rng.normal(0, 0.2))
            rows.append((f"f{f}-{i}", f"f{f}", f"f{f}", params, tokens))
    models = pd.DataFrame(rows, columns=["model", "family", "lineage", "params", "tokens"])
    cells = [(m, b, 0.5, N_ITEMS, c) for m in models["model"] for b, c in BENCHMARKS.items()]
    scores = pd.DataFrame(cells, columns=["model", "benchmark", "score", "n_items", "chance"])
    return sb.Observations(models, scores)


def groups(values: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Identified quantities by name; leading dimensions, such as draws, are kept."""
    lam, omega = values["lam"], values["omega"]
    covariance = lam @ np.swapaxes(lam, -1, -2) + omega[..., None] ** 2 * np.eye(omega.shape[-1])
    yield "family covariance", covariance[..., *np.tril_indices(omega.shape[-1])]
    root = np.linalg.cholesky(covariance)
    yield (
        "family slopes",
        values["tau"][..., None, :, None]
        * (values["z"] @ np.swapaxes(root, -1, -2)[..., None, :, :]),
    )
    yield "expected scores", values["mu"]
    yield from ((k, v) for k, v in values.items() if k not in DERIVED)


def main() -> None:
    args = options(__doc__, simulations=100, draws=500, warmup=500, chains=2).parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    law, models = sb.Sloth(), table()
    # the law that simulates is the law that is fitted: not measured from what comes out
    reference = Reference.of(models, np.ones(len(models.scores), bool), np.ones(0, bool))
    hidden = [f"f{f}-{N_SIZE - 1}" for f in range(0, N_FAMILY, 2)]

    rows, rhats, divergences, started = [], [], [], time.perf_counter()
    for number in range(args.simulations):
        observations, truth = simulate(law, models, seed=number)
        fit = sb.fit(
            law,
            observations,
            seed=number,
            hold_out=hidden,
            reference=reference,
            sampler=sampler(args),
        )
        rhats.append(fit.verdict.max_rhat)
        divergences.append(fit.verdict.divergences)
        posterior = fit.tree["posterior"].to_dataset().data_vars.items()
        draws = dict(groups({str(k): v.to_numpy() for k, v in posterior}))
        table_of_hidden = scoring.scores(sb.held_out(fit))
        for percent in (50, 90):
            tail = (100 - percent) / 200
            for name, value in groups(truth):
                low, high = np.quantile(draws[name], [tail, 1 - tail], axis=(0, 1))
                rows.append((number, name, percent, np.mean((low <= value) & (value <= high))))
            share = table_of_hidden[f"inside_{percent}"].mean()
            rows.append((number, "scores of hidden models", percent, share))
        print(f"\r{number + 1} of {args.simulations}", end="", flush=True)

    shares = pd.DataFrame(rows, columns=["simulation", "group", "percent", "share"])
    by_group = shares.groupby(["group", "percent"], sort=False)["share"]
    # simulations are independent, the members of a group are not
    summary_table = pd.DataFrame(
        {"coverage": by_group.mean(), "standard_error": by_group.sem()}
    ).unstack("percent")
    print("\n" + summary_table.round(3).to_string())
    ninety = summary_table[("coverage", 90)]
    summary = {
        "simulations": args.simulations,
        "coverage_90": ninety.round(4).to_dict(),
        "standard_error_90": summary_table[("standard_error", 90)].round(4).to_dict(),
        "coverage_50": summary_table[("coverage", 50)].round(4).to_dict(),
        "outside_85_to_95": sorted(ninety.index[(ninety < 0.85) | (ninety > 0.95)]),
        "median_rhat": round(float(np.median(rhats)), 4),
        "max_rhat": round(max(rhats), 4),
        "divergences": int(sum(divergences)),
        "seconds": round(time.perf_counter() - started, 1),
    }
    report(args, summary)


if __name__ == "__main__":
    main()
