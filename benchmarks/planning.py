"""Planning questions against the law that the data came from, and against refits.

    python -m benchmarks.planning --out out/planning

Two problems, in tables simulated from the laws themselves:

- A ladder of 48 runs, fitted. Where are the optima of its losses at budgets past the largest run, against
  those of the true surface in closed form, and how likely is it that models reach targets? With the true parameters for
  the posterior, `target_probability` is compared with 20 000 simulated evaluations; with the fit, the
  probabilities are compared with what then happens, over all simulations.
- A table of scores of eight families, and candidates for the next run. `next_run` ranks them by the
  information that they are expected to give on a large model of a new family. Each candidate's scores are
  then simulated from the truth, the
  law is fitted again with them, and the candidates are ranked by the standard deviation that is left.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

import scalebayes as sb
from benchmarks.runs import options, report, sampler
from scalebayes.data.compute import FLOPS_PER_PARAM_TOKEN, params_and_tokens, training_flops
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.model.design import Reference
from scalebayes.planning.experiments import outcomes
from scalebayes.prediction.simulation import simulate

TASKS = {"knowledge": 0.25, "reasoning": 0.25, "commonsense": 0.5}
LARGER = (3.0, 10.0, 30.0)
"""Budgets of planned models, as multiples of the largest run's."""

FAMILIES = 8
TARGET = ("target", "next", 60e9, 3e12)
CANDIDATES = (
    ("next 0.5B", "next", 0.5e9, 3e12),
    ("next 2B", "next", 2e9, 3e12),
    ("next 8B", "next", 8e9, 3e12),
    ("next 2B short", "next", 2e9, 3e11),
    ("other 30B", "f0", 30e9, 3e12),
)
COLUMNS = ["model", "family", "params", "tokens"]


def ladder() -> sb.Observations:
    """Runs of eight sizes and six lengths."""
    rows = [
        (f"{n}-{multiple}", "ladder", 1e8 * 1.8**n, 20 * multiple * 1e8 * 1.8**n)
        for n in range(8)
        for multiple in (0.25, 0.5, 1, 2, 5, 10)
    ]
    models = pd.DataFrame(rows, columns=COLUMNS)
    cells = models[["model"]].merge(pd.DataFrame({"name": list(TASKS)}), how="cross")
    scores = cells.rename(columns={"name": "benchmark"}).assign(score=0.5, n_items=5000)
    scores["chance"] = scores["benchmark"].map(TASKS)
    losses = models[["model"]].assign(domain="c4", loss=2.7, unit="nats/token")
    return sb.Observations(models, scores, losses)


def known(fit: sb.Fit, truth: dict[str, np.ndarray], draws: int) -> sb.Fit:
    """A fit whose draws are all the truth."""
    posterior = fit.tree["posterior"].to_dataset()
    rows = posterior.isel(chain=[0], draw=np.zeros(draws, int))
    for name in rows.data_vars:
        rows[name] = rows[name].copy(data=np.broadcast_to(truth[name], rows[name].shape))
    tree = fit.tree.copy()
    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    groups = {
        k: g.isel(chain=[0], draw=np.zeros(draws, int), missing_dims="ignore")
        for k, g in groups.items()
    }
    return replace(fit, tree=type(tree).from_dict({**groups, "posterior": rows}))


def of_ladder(seed: int, args: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    """Optima, and probabilities with what then happened, of one simulated ladder."""
    law, observations = sb.Ladder(feature="c4"), ladder()
    observed, truth = simulate(law, observations, seed=seed)
    seen = np.ones(len(observations.scores), bool), np.ones(len(observations.losses), bool)
    # the law that simulates is the law that is fitted: not measured from what comes out
    fit = sb.fit(
        law, observed, seed=seed, reference=Reference.of(observations, *seen), sampler=sampler(args)
    )
    n0, d0, _ = fit.reference.middle
    models = observations.models
    largest = float(training_flops(models["params"], models["tokens"]).max())
    wide = (1e-2, 1e5)
    optima = []
    budgets = [m * largest for m in LARGER]
    truly = known(fit, truth, 400)
    found, sure = (
        sb.allocate(f, "ladder", budgets, losses={"c4": 1.0}, tokens_per_param=wide)
        for f in (fit, truly)
    )
    region = found.region[found.region["quantity"] == "params"].set_index("flops")
    alpha, beta, fall = truth["alpha"][0], truth["beta"][0], truth["log_fall_f"][0, :, 0]
    for i, flops in enumerate(budgets):
        c = np.log(flops / FLOPS_PER_PARAM_TOKEN) - n0 - d0
        exact = np.exp(n0 + (fall[0] - fall[1] + beta * c) / (alpha + beta))
        low, high = region.loc[flops, ["lower_90", "upper_90"]]
        optima.append(
            {
                "seed": seed,
                "multiple": LARGER[i],
                "ratio": float(found.best["params"][i] / exact),
                "law": float(np.exp(sure.draws.to_numpy()[i, 0]) / exact),
                "inside_90": bool(low <= exact <= high),
                "price": float(found.best["price"][i]),
            }
        )

    size, tokens = params_and_tokens(np.array(budgets), 20.0)
    models = pd.DataFrame({"model": [f"x{m:g}" for m in LARGER], "family": "ladder"})
    models = models.assign(params=size, tokens=tokens)
    median = sb.predict(fit, models).pivot(index="model", columns="benchmark", values="median")
    _, scores, _ = outcomes(
        known(fit, truth, args.simulated),
        sb.Observations(pd.concat([models, models.head(1).assign(model="last")])),
    )
    chances = []
    for shift in (-0.02, 0.0, 0.02):
        for i, model in enumerate(models["model"]):
            targets = {b: float(np.clip(median.loc[model, b] + shift, 0.01, 0.99)) for b in TASKS}
            row = models.iloc[[i]]
            reached = scores[:, i] >= np.array([targets[b] for b in fit.design.labels("benchmark")])
            brute = [*reached.mean(axis=0), reached.all(axis=1).mean()]
            in_order = {b: targets[b] for b in fit.design.labels("benchmark")}
            ours, fitted = (
                sb.target_probability(f, row, in_order)["probability"].to_numpy()
                for f in (truly, fit)
            )
            chances += [
                {"seed": seed, "target": t, "brute": b, "law": o, "fit": p}
                for t, b, o, p in zip([*in_order, "all"], brute, ours, fitted, strict=True)
            ]
    return optima, chances, fit.verdict.max_rhat


def families() -> sb.Observations:
    """Scores of families of three sizes, the candidates and the model to be predicted."""
    rng = np.random.default_rng(1)
    rows = []
    for f in range(FAMILIES):
        tokens, smallest = np.exp(rng.normal(27.8, 0.8)), np.exp(rng.normal(21.0, 0.5))
        rows += [(f"f{f}-{i}", f"f{f}", smallest * 4.0**i, tokens) for i in range(3)]
    models = pd.DataFrame([*rows, *CANDIDATES, TARGET], columns=COLUMNS)
    chance = {**TASKS, "maths": 0.0}
    cells = [(m, b, 0.5, 2000, c) for m in models["model"] for b, c in chance.items()]
    return sb.Observations(
        models, pd.DataFrame(cells, columns=["model", "benchmark", "score", "n_items", "chance"])
    )


def of_next_run(seed: int, args: Any) -> list[dict[str, Any]]:
    """Rank of each candidate by information and by refits."""
    law, observations = sb.Sloth(), families()
    observed, _ = simulate(law, observations, seed=seed)
    names = [row[0] for row in CANDIDATES]
    seen = ~observations.scores["model"].isin([*names, TARGET[0]]).to_numpy()
    reference = Reference.of(observations, seen, np.ones(0, bool))

    def fitted(hold_out: list[str]) -> sb.Fit:
        return sb.fit(
            law, observed, seed=seed, hold_out=hold_out, reference=reference, sampler=sampler(args)
        )

    def spread(fit: sb.Fit) -> float:
        draws = sb.predictive_draws(fit, target, new_families=["next"])["score"]
        return float(draws.mean("benchmark").std())

    target = pd.DataFrame([TARGET], columns=COLUMNS)
    before = fitted([*names, TARGET[0]])
    # the fit holds the candidates out; under other names they are runs that have not been trained
    planned = pd.DataFrame(CANDIDATES, columns=COLUMNS).assign(model=[f"plan: {n}" for n in names])
    found = sb.next_run(before, planned, target.assign(model="plan: target"), new_families=["next"])
    found = found.set_index("model")
    rows = []
    for name in names:
        after = fitted([n for n in [*names, TARGET[0]] if n != name])
        rows.append(
            {
                "seed": seed,
                "candidate": name,
                "information": found["information"][f"plan: {name}"],
                "sd_before": spread(before),
                "sd_after": found["sd_after"][f"plan: {name}"],
                "sd_refit": spread(after),
            }
        )
    return rows


def main() -> None:
    parser = options(
        __doc__, ladders=10, simulations=10, simulated=20_000, draws=500, warmup=500, chains=2
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    started = time.perf_counter()
    optima, chances, rhats, ranks = [], [], [], []
    for seed in range(args.ladders):
        of_optimum, of_chance, rhat = of_ladder(seed, args)
        optima, chances, rhats = optima + of_optimum, chances + of_chance, [*rhats, rhat]
        print(f"ladder {seed + 1} of {args.ladders}", flush=True)
    for seed in range(args.simulations):
        ranks += of_next_run(seed, args)
        print(f"table {seed + 1} of {args.simulations}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    summary: dict[str, Any] = {"settings": asdict(sampler(args))}
    if optima:
        size, chance = pd.DataFrame(optima), pd.DataFrame(chances)
        size.to_csv(args.out / "optima.csv", index=False)
        chance.to_csv(args.out / "probabilities.csv", index=False)
        print(
            size.groupby("multiple")[["ratio", "inside_90", "price"]]
            .agg(["median", "mean"])
            .round(3)
        )
        bins = chance.groupby(
            pd.cut(chance["fit"], [0, 0.2, 0.4, 0.6, 0.8, 1], include_lowest=True)
        )
        calibration = bins[["fit", "brute"]].mean().assign(cells=bins.size())
        print(calibration.round(3))
        off = np.abs(np.log(size["ratio"]))
        summary |= {
            "optimum_within_15_percent": float((off <= np.log(1.15)).mean()),
            "optimum_median_factor": float(np.exp(off.median())),
            "optimum_inside_90": float(size["inside_90"].mean()),
            "optimum_largest_factor_with_the_law_known": float(
                np.exp(np.abs(np.log(size["law"])).max())
            ),
            "largest_error_with_the_law_known": float(
                (chance["law"] - chance["brute"]).abs().max()
            ),
            "mean_probability": float(chance["fit"].mean()),
            "mean_truth": float(chance["brute"].mean()),
            "largest_rhat": max(rhats),
        }
    if ranks:
        rank = pd.DataFrame(ranks)
        rank.to_csv(args.out / "next_runs.csv", index=False)
        groups = [g for _, g in rank.groupby("seed")]
        tops = [g.loc[g["information"].idxmax(), "candidate"] for g in groups]
        refits = [g.sort_values("sd_refit")["candidate"].tolist() for g in groups]
        print(
            rank.groupby("candidate", sort=False)
            .mean(numeric_only=True)
            .drop(columns="seed")
            .round(4)
        )
        summary |= {
            "top_choice_in_top_two_of_refits": sum(
                t in r[:2] for t, r in zip(tops, refits, strict=True)
            ),
            "top_choice_is_top_of_refits": sum(
                t == r[0] for t, r in zip(tops, refits, strict=True)
            ),
            "of": len(groups),
            "rank_correlation": float(
                np.mean([g["information"].corr(-g["sd_refit"], method="spearman") for g in groups])
            ),
        }
    report(args, {**summary, "seconds": round(time.perf_counter() - started, 1)})


if __name__ == "__main__":
    main()
