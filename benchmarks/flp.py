"""FLP as published, two lines by least squares, beside the FLP law: the ladder's and Gadre's data.

    python -m benchmarks.flp --out out/flp

The form of step 2 is decided on smaller runs: on the ladder the 1B runs from the smaller ones, and of
Gadre's the 412M runs from the smaller ones (`--rolling` stops there). The better form, by CRPS, then
predicts the large runs: 7B-4T and 13B-5T from the ladder, and Gadre's 1.4B and 6.9B runs from those
under 1e20 FLOPs. Writes rolling.csv, predictions.csv and summary.json. The method is that of
https://arxiv.org/abs/2410.08527.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd

import scalebayes as sb
from benchmarks.gadre import SMALLEST_LARGE, table
from benchmarks.ladder_protocol import TARGETS
from benchmarks.runs import FIGURES, options, report, sampler, use_data
from scalebayes.evaluation import scoring
from scalebayes.inference.diagnostics import ConvergenceWarning

LAWS = {
    "sigmoid": sb.Flp(scores="sigmoid", floor="learned"),
    "line": sb.Flp(scores="linear", floor="known"),
}
EMERGENCE = 0.05


def main() -> None:
    parser = options(__doc__, draws=800, warmup=700, chains=2)
    parser.add_argument("--rolling", action="store_true", help="without the large runs")
    args = parser.parse_args()
    use_data("gadre")
    warnings.simplefilter("ignore", ConvergenceWarning)  # verdicts are reported
    args.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    ladder, (gadre, hidden) = sb.datasets.olmo_ladder(), table()
    of_ladder, of_gadre = (o.models.set_index("model")["params"] for o in (ladder, gadre))
    large = of_ladder[of_ladder > 1e9].index.tolist()
    medium = of_gadre[of_gadre > 2e8].index.tolist()
    verdicts: dict[str, str] = {}
    smaller = pd.concat(
        [
            compared(
                "ladder", ladder, large, [m for m in large if m not in TARGETS], args, verdicts
            ),
            compared(
                "gadre",
                gadre,
                [*hidden, *(m for m in medium if m not in hidden)],
                [m for m in medium if m not in hidden],
                args,
                verdicts,
            ),
        ]
    )
    smaller.to_csv(args.out / "rolling.csv", index=False)
    summary = {"rolling": shown(smaller)}
    if not args.rolling:
        crps = smaller.groupby(["method", "data"])["crps"].mean().groupby("method").mean()
        best = str(crps[list(LAWS)].idxmin())
        default = {best: LAWS[best]}
        targets = of_gadre[of_gadre > SMALLEST_LARGE].index.tolist()
        both = pd.concat(
            [
                compared("ladder", ladder, TARGETS, TARGETS, args, verdicts, default),
                compared("gadre", gadre, hidden, targets, args, verdicts, default),
            ]
        )
        both.to_csv(args.out / "predictions.csv", index=False)
        summary["large runs"] = shown(both)
        error = both.groupby(["data", "method"])["error"].mean().unstack()
        summary["ratio of errors"] = (error[best] / error["published"]).round(3).to_dict()
    summary |= {"verdicts": verdicts, "seconds": round(time.perf_counter() - started, 1)}
    report(args, summary)


def compared(data, observations, hidden, targets, args, verdicts, laws=LAWS):
    """Every law and the published fit on one table, with predictions of the targets."""
    target = observations.only(models=targets)
    rows = []
    for name, law in laws.items():
        fit = sb.fit(
            law,
            observations,
            seed=0,
            hold_out=hidden,
            sampler=sampler(args, target_accept=0.95),
        )
        verdicts[f"{data}, {len(hidden)} hidden, {name}"] = str(fit.verdict)
        print(data, name, fit.verdict, fit.provenance["seconds"], flush=True)
        rows.append(scoring.scores(sb.held_out(fit, target)).assign(data=data, method=name))
    seen = observations.without(models=hidden)
    earlier = sb.datasets.olmo_ladder(checkpoints=True) if data == "ladder" else seen
    runs = seen.models["run"]
    step_2 = earlier.only(models=earlier.models["model"][earlier.models["run"].isin(runs)].tolist())
    points = published(seen, step_2, target.models)
    rows.append(
        target.scores[["model", "benchmark", "score"]]
        .rename(columns={"score": "observed"})
        .merge(points)
        .assign(data=data, method="published", error=lambda t: (t["median"] - t["observed"]).abs())
    )
    return pd.concat(rows)


def shown(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    found = scoring.figures(rows, ["data", "method"])[FIGURES]
    print(found.round(3).to_string(), flush=True)
    return {", ".join(k): v for k, v in found.round(4).to_dict("index").items()}


def published(
    runs: sb.Observations, checkpoints: sb.Observations, targets: pd.DataFrame
) -> pd.DataFrame:
    """Log L = log A - alpha log C on finished runs; P = w0 + w1 L on checkpoints above the threshold.

    A family and a benchmark at a time; where fewer than two checkpoints are above, P is chance.
    """
    rows = []
    log_loss = losses(runs)
    for family, target in targets.groupby("family"):
        own = runs.models[runs.models["family"] == family]
        alpha, log_a = np.polyfit(np.log(own["flops"]), log_loss[own["model"]], 1)
        loss = np.exp(log_a + alpha * np.log(target["flops"]))
        names = checkpoints.models["model"][checkpoints.models["family"] == family]
        scores = checkpoints.scores[checkpoints.scores["model"].isin(names)]
        for benchmark, cells in scores.groupby("benchmark"):
            above = cells[cells["score"] > cells["chance"] + EMERGENCE]
            guess = np.full(len(target), float(cells["chance"].iloc[0]))
            if len(above) >= 2:
                x = np.exp(losses(checkpoints)[above["model"]].to_numpy())
                guess = np.clip(np.polyval(np.polyfit(x, above["score"], 1), loss), 0, 1)
            rows.append(
                pd.DataFrame({"model": target["model"], "benchmark": benchmark, "median": guess})
            )
    return pd.concat(rows)


def losses(observations: sb.Observations) -> pd.Series:
    """Log of the loss on C4, by model."""
    table = observations.losses
    return np.log(table[table["domain"] == "c4"].set_index("model")["loss"])


if __name__ == "__main__":
    main()
