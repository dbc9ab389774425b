"""Refits for held-out families: one compiled program for all against a new program for each.

    python -m benchmarks.refits --out out/refits

The groups of families of Sloth's v1 table, of which only the smallest model stays: each is a fold, that
both ways fit and predict. `cross_validate` goes through all with one program, compiled in the first
fold. The naive way is the plain NumPyro program of `benchmarks.sampling`, with a new sampler, compiled
anew, for every fold; its predictive program comes from the cache after the first. Seconds are of wall
time from the table to predictive draws of the held-out scores. Predictive means of the two are compared
in Monte Carlo standard errors of their difference; where the naive chains have not mixed (its R-hat),
these errors are too small. A row a fold goes to a CSV file as soon as it is finished, and a run that
was interrupted goes on there. Writes that and summary.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from numpyro import handlers

import scalebayes as sb
from benchmarks.runs import options, report, sampler
from benchmarks.sampling import plain, run_plain
from benchmarks.sloth_data import protocol
from scalebayes.data.folds import Fold, hidden
from scalebayes.inference.compilation import over_draws
from scalebayes.model import design as designs

MIXED = 1.05
"""Chains with an R-hat below are taken to tell their Monte Carlo error."""


def main() -> None:
    parser = options(__doc__, draws=400, warmup=400, chains=2)
    parser.add_argument("--folds", type=int, help="how many groups, by default all")
    args = parser.parse_args()
    observations, groups = protocol("v1", 1, joint=False)
    folds = [Fold(" + ".join(g.families), g.hidden) for g in groups][: args.folds]
    path = args.out / f"folds_{args.draws}_{args.warmup}_{args.chains}.csv"
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as empty:  # nothing is compiled yet
        jax.config.update("jax_compilation_cache_dir", empty)
        for number, fold in enumerate(folds):
            if fold.name in [row["fold"] for row in rows]:
                continue
            rows.append({"fold": fold.name, **both(observations, fold, args, seed=number)})
            pd.DataFrame(rows).to_csv(path, index=False)
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).set_index("fold").loc[[fold.name for fold in folds]]
    print(table.to_string())
    report(args, summarised(table))


def both(
    observations: sb.Observations, fold: Fold, args: argparse.Namespace, seed: int
) -> dict[str, Any]:
    """Figures of one fold: ours, then naive."""
    started = time.perf_counter()
    held = sb.cross_validate(sb.Sloth(), observations, [fold], seed=seed, sampler=sampler(args))
    seconds = {"ours": time.perf_counter() - started}
    started = time.perf_counter()
    mu, draws = naive(observations, fold, args, seed)
    seconds["naive"] = time.perf_counter() - started
    ours = held.draws.reshape(len(held.draws), args.chains, -1)
    difference = ours.mean((1, 2)) - draws.mean((1, 2))
    z = difference / np.hypot(array_stats.mcse(ours), array_stats.mcse(draws))
    (checked,) = held.folds.to_dict("records")
    return {
        "scores": len(ours),
        "seconds_ours": round(seconds["ours"], 1),
        "seconds_naive": round(seconds["naive"], 1),
        "ess_ours": round(checked["min_ess_bulk"], 1),
        "ess_naive": round(float(array_stats.ess(mu, method="bulk").min()), 1),
        "rhat_ours": round(checked["max_rhat"], 3),
        "rhat_naive": round(float(array_stats.rhat(mu).max()), 3),
        "difference_in_points": round(100 * float(np.abs(difference).mean()), 3),
        "difference_in_mcse": round(float(np.sqrt((z**2).mean())), 2),
    }


def naive(
    observations: sb.Observations, fold: Fold, args: argparse.Namespace, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A fit of the plain program: expected scores of all cells, predictive draws of the held-out ones.

    Shapes (cell, chain, draw) and (score, chain, draw).
    """
    law, rows = sb.Sloth(), hidden(observations.scores, fold.hold_out)

    def one(values: dict[str, Any], key: Any, design: designs.Design) -> Any:
        model = handlers.substitute(handlers.seed(lambda d: plain(law, d), 0), values)
        score = handlers.trace(model).get_trace(design)["score"]["fn"]
        return jnp.clip(score.sample(key), 0.0, 1.0)

    with jax.enable_x64(True):
        design = designs.build(observations, ~rows)
        samples = run_plain(law, design, args, seed).get_samples()
        keys = jax.random.split(jax.random.key(seed), len(samples["mu"]))
        draws = over_draws(one, 2)(samples, keys, design)
    mu, score = (np.asarray(v).reshape(len(keys), -1).T for v in (samples["mu"], draws))
    return (
        mu.reshape(len(mu), args.chains, -1),
        score[rows].reshape(rows.sum(), args.chains, -1),
    )


def summarised(table: pd.DataFrame) -> dict[str, Any]:
    """Figures of all folds."""
    total = table[["seconds_ours", "seconds_naive"]].sum()
    rate = {k: (table[f"ess_{k}"] / table[f"seconds_{k}"]).mean() for k in ("ours", "naive")}
    mixed = table[(table[["rhat_ours", "rhat_naive"]] < MIXED).all(axis=1)]
    return {
        "folds": len(table),
        "scores": int(table["scores"].sum()),
        **total.round(1).to_dict(),
        "times_faster": round(total["seconds_naive"] / total["seconds_ours"], 2),
        "median_min_ess": {k: float(table[f"ess_{k}"].median()) for k in ("ours", "naive")},
        "times_more_ess_per_second": round(rate["ours"] / rate["naive"], 1),
        "max_rhat": {k: float(table[f"rhat_{k}"].max()) for k in ("ours", "naive")},
        "difference_in_mcse": root_mean_square(table),
        "folds_in_which_both_mixed": len(mixed),
        "difference_in_mcse_there": root_mean_square(mixed),
    }


def root_mean_square(table: pd.DataFrame) -> float | None:
    """Difference of predictive means in Monte Carlo standard errors, over all scores of the folds."""
    if table.empty:
        return None
    square = table["difference_in_mcse"] ** 2
    return round(float(np.sqrt((square * table["scores"]).sum() / table["scores"].sum())), 2)


if __name__ == "__main__":
    main()
