"""Models of three corpora: the 1.4B and 6.9B runs from the runs under 1e20 FLOPs.

    python -m benchmarks.gadre --out out/gadre

Corpora are families. Tasks are those that beat chance by ten points in a run that is fitted; the loss
is that on C4, as in the paper. Then each corpus in turn is left out but for its three smallest runs,
and the rest of it is predicted. Writes losses.csv, predictions.csv, new_corpus.csv and summary.json.
The data are those of Gadre et al., https://arxiv.org/abs/2403.08540.
"""

from __future__ import annotations

import time
import warnings

import pandas as pd

import scalebayes as sb
from benchmarks.runs import FIGURES, options, report, sampler, use_data
from scalebayes.evaluation import scoring
from scalebayes.inference.diagnostics import ConvergenceWarning

LAW = sb.Ladder(feature="c4")
MOST_FLOPS = 1e20
SMALLEST_LARGE = 1e9


def main() -> None:
    args = options(__doc__, draws=600, warmup=1000, chains=4).parse_args()
    use_data("gadre")
    warnings.simplefilter("ignore", ConvergenceWarning)  # verdicts are reported
    args.out.mkdir(parents=True, exist_ok=True)
    observations, hidden = table()
    models = observations.models.set_index("model")
    nuts = sampler(args, target_accept=0.95)
    started = time.perf_counter()
    fit = sb.fit(LAW, observations, seed=0, hold_out=hidden, sampler=nuts)
    verdicts = {"all corpora": str(fit.verdict)}
    print(fit.verdict, fit.provenance["seconds"], flush=True)
    large = models.index[models["params"] > SMALLEST_LARGE].tolist()
    truth = observations.only(models=large)
    losses = scoring.scores(sb.held_out(fit, truth, of="loss"))
    scores = scoring.scores(sb.held_out(fit, truth))
    losses.to_csv(args.out / "losses.csv", index=False)
    scores.to_csv(args.out / "predictions.csv", index=False)
    relative = (losses["median"] / losses["observed"] - 1).abs()
    mean = scores.groupby("model")[["median", "observed"]].mean()
    print(100 * mean, 100 * relative, sep="\n\n")
    print(scoring.figures(scores, "benchmark")[FIGURES].round(3).to_string())

    rows = []
    for corpus in observations.families:
        own = models[models["family"] == corpus].sort_values("flops").index
        unseen = [m for m in own[3:] if m not in hidden]
        fit = sb.fit(LAW, observations, seed=0, hold_out=[*unseen, *hidden], sampler=nuts)
        verdicts[f"three runs of {corpus}"] = str(fit.verdict)
        print(corpus, fit.verdict, flush=True)
        rest = observations.only(models=[m for m in own[3:] if m in unseen or m in large])
        rows.append(scoring.scores(sb.held_out(fit, rest)).assign(corpus=corpus))
    new = pd.concat(rows)
    new.to_csv(args.out / "new_corpus.csv", index=False)
    report(
        args,
        {
            "runs_fitted": len(models) - len(hidden),
            "tasks": list(observations.benchmarks),
            "loss_median_relative_error_percent": round(100 * float(relative.median()), 3),
            "loss_coverage_90": round(float(losses["inside_90"].mean()), 3),
            "mean_over_tasks_error": round(
                100 * float((mean["median"] - mean["observed"]).abs().mean()), 3
            ),
            "scores": scoring.figures(scores)[FIGURES].iloc[0].round(4).to_dict(),
            "new_corpus": scoring.figures(new, "corpus")[FIGURES].round(4).to_dict("index"),
            "verdicts": verdicts,
            "seconds": round(time.perf_counter() - started, 1),
        },
    )


def table() -> tuple[sb.Observations, list[str]]:
    """The tasks that can be told from chance, the C4 loss, and the runs to hold out."""
    observations = sb.datasets.gadre()
    models = observations.models
    small = (models["flops"] < MOST_FLOPS) & (models["params"] < SMALLEST_LARGE)
    hidden = models["model"][~small].tolist()
    seen = observations.scores[~observations.scores["model"].isin(hidden)]
    above = (seen["score"] - seen["chance"]).groupby(seen["benchmark"], sort=False).max()
    tasks = above.index[above >= 0.1].tolist()
    return observations.only(benchmarks=tasks, domains="c4"), hidden


if __name__ == "__main__":
    main()
