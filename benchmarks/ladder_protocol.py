"""The published protocol of model ladders: two large runs from sixteen small ones.

    python -m benchmarks.ladder_protocol --out out/ladder

First the rolling test, on the small runs alone: fit on the runs up to each size, predict the next
size up, beside the separate fits of the paper with a bootstrap over runs. Choices were made there, and
on Gadre's small runs; the targets had been seen once before, with an earlier form of the law. Then
the two targets, with an average over features as the default. Writes rolling.csv,
distance.csv (calibration by extrapolation distance), predictions.csv, features.csv and summary.json.
`--rolling` leaves out the targets.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import least_squares
from scipy.special import expit, logit

import scalebayes as sb
from benchmarks.runs import FIGURES, options, report, sampler
from scalebayes.evaluation import scoring
from scalebayes.evaluation.predictions import HeldOut, joined
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.prediction.averaging import sizes as by_size

LAWS = {"task": sb.Ladder(), "c4": sb.Ladder(feature="c4")}
TARGETS = ["7b-4t", "13b-5t"]
PUBLISHED = {"task": (3.8, 4.2), "c4": (2.0, 3.5)}
"""Mean absolute errors of the paper in points on the two targets, https://arxiv.org/abs/2412.04403."""

OLMO_32B = {
    "hellaswag": 0.853,
    "arc_challenge": 0.668,
    "arc_easy": 0.888,
    "piqa": 0.836,
    "csqa": 0.754,
    "socialiqa": 0.623,
    "openbookqa": 0.532,
}
"""Accuracy of OLMo 2 32B on the tasks that the authors had forecast, as they published it."""

BOOTSTRAP = 40


def main() -> None:
    parser = options(__doc__, draws=1000, warmup=1000, chains=4)
    parser.add_argument("--rolling", action="store_true", help="without the targets")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # verdicts are reported
    args.out.mkdir(parents=True, exist_ok=True)
    observations = sb.datasets.olmo_ladder()
    started = time.perf_counter()
    rolling, held, verdicts = roll(observations, args)
    rolling.to_csv(args.out / "rolling.csv", index=False)
    distance = pd.concat(
        [sb.calibration(joined(parts), by="distance").assign(law=k) for k, parts in held.items()]
    )
    distance.to_csv(args.out / "distance.csv", index=False)
    table = scoring.figures(rolling, ["method", "fold"])[FIGURES]
    overall = scoring.figures(rolling, "method")[FIGURES]
    print(table.round(3).to_string(), overall.round(3).to_string(), sep="\n\n")
    columns = ["law", "distance", "scores", "crps", "coverage_50", "coverage_90", "width_90"]
    print(distance[columns].round(3).to_string(index=False))
    summary = {
        "rolling": overall.round(4).to_dict("index"),
        "by_distance": distance[columns].round(4).to_dict("records"),
    }
    if not args.rolling:
        summary |= targets(observations, args, verdicts)
    summary |= {
        "verdicts": {k: str(v) for k, v in verdicts.items()},
        "failed_fits": [k for k, v in verdicts.items() if not v.passed],
        "seconds": round(time.perf_counter() - started, 1),
    }
    report(args, summary)


def short_steps(args):
    """A sampler with steps short enough for the funnel that runs of a single size leave."""
    return sampler(args, target_accept=0.97)


def roll(observations, args):
    """Each size from the smaller ones, by every law and by the naive way."""
    rows, held, verdicts = [], {name: [] for name in LAWS}, {}
    small = by_size(observations, TARGETS)
    for number, (_, models) in enumerate(small[1:], start=1):
        larger = [m for _, group in small[number:] for m in group]
        target = observations.only(models=models)
        for name, law in LAWS.items():
            fit = sb.fit(
                law,
                observations,
                seed=number,
                hold_out=[*larger, *TARGETS],
                sampler=short_steps(args),
            )
            verdicts[f"{name}, {models[0]}"] = fit.verdict
            print(f"{name} -> {models[0]}: {fit.verdict}", fit.provenance["seconds"], flush=True)
            found = sb.held_out(fit, target, name=models[0])
            held[name].append(found)
            rows.append(scoring.scores(found).assign(method=name))
        if number == len(small) - 1:  # three smaller sizes, as an average needs
            average = sb.fit_average(
                LAWS,
                observations,
                seed=number,
                hold_out=[*larger, *TARGETS],
                sampler=short_steps(args),
            )
            print(average.evidence.round(2).to_string(), average.weights, flush=True)
            of_average = sb.held_out(average, target, name=models[0])
            rows.append(scoring.scores(of_average).assign(method="average"))
        seen = observations.without(models=[*larger, *TARGETS])
        for name, law in LAWS.items():
            draws = separate_fits(seen, target, law.feature, np.random.default_rng(number))
            found = with_draws(held[name][-1], draws)
            rows.append(scoring.scores(found).assign(method=f"separate, {name}"))
    return pd.concat(rows), held, verdicts


def targets(observations, args, verdicts):
    """The two large runs, and the authors' forecast of a larger one."""
    average = sb.fit_average(
        LAWS, observations, seed=0, hold_out=TARGETS, sampler=short_steps(args)
    )
    verdicts |= {f"{k}, all": fit.verdict for k, fit in average.fits.items()}
    target = observations.only(models=TARGETS)
    parts = {"average": average, **average.fits}
    rows = {k: scoring.scores(sb.held_out(f, target)) for k, f in parts.items()}
    both = pd.concat([t.assign(feature=k) for k, t in rows.items()])
    named = both.rename(columns={"model": "target", "benchmark": "task"})
    named[named["feature"] == "average"].to_csv(args.out / "predictions.csv", index=False)
    named.to_csv(args.out / "features.csv", index=False)
    found = scoring.figures(both, ["feature", "model"])[FIGURES]
    print(found.round(3).to_string())
    large = pd.DataFrame(
        {"model": ["32b-6t"], "family": ["olmo-ladder"], "params": [32e9], "tokens": [6e12]}
    )
    published = pd.DataFrame(
        {"model": "32b-6t", "benchmark": OLMO_32B.keys(), "score": OLMO_32B.values()}
    )
    forecast = scoring.scores(sb.held_out(average, sb.Observations(large, published)))
    print(
        forecast.set_index("benchmark")
        .drop(columns=["fold", "model", "family"])
        .round(3)
        .to_string()
    )
    return {
        "weights": average.weights,
        "targets": {
            f"{feature}, {target}": values
            for (feature, target), values in found.round(4).to_dict("index").items()
        },
        "covered_90": int(rows["average"]["inside_90"].sum()),
        "covered_50": int(rows["average"]["inside_50"].sum()),
        "forecast_32b_covered_90": int(forecast["inside_90"].sum()),
        "published_error": PUBLISHED,
    }


def with_draws(held: HeldOut, draws: xr.DataArray) -> HeldOut:
    """The same scores, predicted by draws (chain, draw, model, benchmark) whose density is not known."""
    at = {k: xr.DataArray(held.cells[k].to_numpy(), dims="cell") for k in ("model", "benchmark")}
    values = draws.stack(sample=("chain", "draw")).sel(at).transpose("cell", "sample")
    return replace(held, cells=held.cells.assign(log_score=np.nan), draws=values.to_numpy())


def separate_fits(seen, larger, feature, rng):
    """The two steps of the paper by least squares, task by task, on resampled runs.

    A draw is the prediction from one resample plus a residual of each step, drawn again.
    """
    models, target = seen.models, larger.models
    scores = seen.to_wide().set_index("model")
    losses = seen.losses.pivot(index="model", columns="domain", values="loss").loc[models["model"]]
    draws = np.empty((BOOTSTRAP, len(target), len(seen.benchmarks)))
    for j, benchmark in enumerate(seen.benchmarks):
        y = losses[benchmark if feature == "task" else feature].to_numpy()
        accuracy = scores[benchmark].loc[models["model"]].to_numpy()
        for i in range(BOOTSTRAP):
            at = rng.integers(len(models), size=len(models))
            surface, spread1 = step_1(models.iloc[at], y[at])
            sigmoid, spread2 = step_2(y[at], accuracy[at])
            loss = surface(target) * np.exp(spread1 * rng.normal(size=len(target)))
            draws[i, :, j] = sigmoid(loss) + spread2 * rng.normal(size=len(target))
    return xr.DataArray(
        np.clip(draws, 0, 1)[None],
        dims=("chain", "draw", "model", "benchmark"),
        coords={"model": target["model"].to_list(), "benchmark": list(seen.benchmarks)},
    )


def step_1(models, y):
    n0, d0 = (np.log(models[c]).mean() for c in ("params", "tokens"))

    def surface(p, at):
        E, A, B, alpha, beta = np.exp(p)
        n, d = np.log(at["params"]).to_numpy() - n0, np.log(at["tokens"]).to_numpy() - d0
        return E + A * np.exp(-alpha * n) + B * np.exp(-beta * d)

    start = np.log([y.mean() / 3] * 3 + [0.3, 0.3])
    low, high = np.log([1e-4, 1e-4, 1e-4, 0.02, 0.02]), np.log([10, 10, 10, 1.5, 1.5])
    found = least_squares(
        lambda p: np.log(surface(p, models)) - np.log(y), start, bounds=(low, high), loss="huber",
        f_scale=1e-3,
    )  # fmt: skip
    return lambda at: surface(found.x, at), np.std(found.fun)


def step_2(y, accuracy):
    def sigmoid(p, x):
        low, high, k, middle = expit(p[0]), expit(p[1]), np.exp(p[2]), p[3]
        return low + (high - low) * expit(-k * (x - middle))

    start = [logit(max(accuracy.min() - 0.02, 0.05)), 2.0, np.log(5.0), y.min()]
    found = least_squares(
        lambda p: sigmoid(p, y) - accuracy, start,
        bounds=([-4, 0, np.log(0.2), 0.0], [2, 6, np.log(50), 8.0]),
    )  # fmt: skip
    return lambda x: sigmoid(found.x, x), np.std(found.fun)


if __name__ == "__main__":
    main()
