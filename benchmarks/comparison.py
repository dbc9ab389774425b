"""Which law to trust: leave-one-out beside leave-the-larger-out, all laws of scores and their average.

    python -m benchmarks.comparison --leaderboard v1 --out out/comparison

On the published protocol of Sloth, of each group of families only the smallest model stays. Every law
is fitted once to all scores, for leave-one-out by single scores, and once for each group. The average
predicts a group with weights from the other groups alone, by pseudo-BMA+ and by stacking: it has not been told
which law is best.
Scores whose Pareto k is above 0.7 are counted; `--match` moves draws for each of them, and `--refit` fits
again where that does not help. Writes laws.csv,
distance.csv (coverage by extrapolation distance), folds.csv and summary.json.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import scalebayes as sb
from benchmarks.runs import SCORE_LAWS, options, report, sampler
from benchmarks.sloth_data import BENCHMARKS, protocol
from scalebayes.data.folds import Fold
from scalebayes.evaluation.predictions import HeldOut, joined, mixed
from scalebayes.evaluation.refits import densities, with_both
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.prediction.averaging import pseudo_bma, stacking

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    parser = options(__doc__, draws=2000, warmup=700, chains=2)
    parser.add_argument("--leaderboard", choices=BENCHMARKS, default="v1")
    parser.add_argument("--match", action="store_true", help="match moments where k is above 0.7")
    parser.add_argument("--refit", action="store_true", help="where leave-one-out cannot tell")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # verdicts are reported
    started = time.perf_counter()
    observations, groups = protocol(args.leaderboard, 1, joint=False)
    folds = [Fold(" + ".join(g.families), g.hidden) for g in groups]
    fits = {
        k: sb.fit(law, observations, seed=0, sampler=sampler(args)) for k, law in SCORE_LAWS.items()
    }
    settings = {"moment_match": args.match, "refit": args.refit, "folder": args.out / "folds"}
    loo = sb.compare(fits, by="score", **settings)
    print(loo.table.round(2).to_string(), flush=True)
    held = {}
    for name, law in SCORE_LAWS.items():
        refits = sb.cross_validate(
            law, observations, folds, seed=0, folder=args.out / "folds", sampler=sampler(args)
        )
        held[name] = with_both(refits, densities(fits[name], folds))
        raw = refits.folds["log_score"].sum()
        print(
            f"{name}: larger models' elpd {held[name].folds['log_score'].sum():.1f}, from refits alone {raw:.1f}"
        )
        print(name, sb.calibration(held[name]).round(3).to_string(index=False), flush=True)
    laws_alone = dict(held)
    held["average"] = average(laws_alone, pseudo_bma)
    held["average, stacking"] = average(laws_alone, stacking)
    rows = []
    for name, one in held.items():
        found = sb.calibration(one).iloc[0]
        rows.append(
            {
                "law": name,
                "loo_elpd": float(loo.table["elpd"].get(name, np.nan)),
                "larger_elpd": float(one.folds["log_score"].sum()),
                "larger_mcse": float(np.sqrt((one.folds["log_score_se"] ** 2).sum())),
                "largest_mcse": float(one.folds["log_score_se"].max()),
                **found[["error", "crps", "coverage_50", "coverage_90", "width_90"]].to_dict(),
                "folds_passed": int(one.folds["passed"].sum()),
            }
        )
    laws = pd.DataFrame(rows).set_index("law").round(4)
    laws.to_csv(args.out / "laws.csv")
    distance = pd.concat(
        [sb.calibration(one, by="distance").assign(law=k) for k, one in held.items()]
    )
    distance.to_csv(args.out / "distance.csv", index=False)
    pd.concat([one.folds.assign(law=k) for k, one in held.items()]).to_csv(
        args.out / "folds.csv", index=False
    )
    print(laws.to_string())
    shown = distance[distance["law"].isin(["Sloth", "average"])]
    columns = ["law", "distance", "scores", "crps", "coverage_50", "coverage_90", "width_90"]
    print(shown[columns].round(3).to_string(index=False))
    singles = laws.loc[list(SCORE_LAWS)]
    rank = float(spearmanr(singles["loo_elpd"], singles["larger_elpd"]).statistic)
    agree = singles["loo_elpd"].idxmax() == singles["larger_elpd"].idxmax()
    words = (
        f"Leave-one-out and leave-the-larger-out put the laws in orders of rank correlation {rank:.2f} "
        f"and {'agree' if agree else 'disagree'} on the best."
    )
    print(words)
    report(
        args,
        {
            "leaderboard": args.leaderboard,
            "laws": laws.to_dict("index"),
            "rank_correlation": rank,
            "words": words,
            "average_crps_over_best": {
                name: round(float(laws.loc[name, "crps"] / singles["crps"].min()), 4)
                for name in ("average", "average, stacking")
            },
            "by_distance": shown[columns].round(4).to_dict("records"),
            "conformal_90": round(sb.conformal_prob(held["Sloth"], 0.9), 4),
            "pareto_k_over_0.7": {k: int((loo.pareto_k[k] > 0.7).sum()) for k in SCORE_LAWS},
            "seconds": round(time.perf_counter() - started, 1),
        },
    )


def average(
    held: dict[str, HeldOut], weigh: Callable[[np.ndarray], np.ndarray] = pseudo_bma
) -> HeldOut:
    """The average's predictions of each fold, with weights from the others."""
    density = np.stack([one.folds["log_score"] for one in held.values()], axis=1)
    parts = []
    for k in range(len(density)):
        weights = weigh(np.delete(density, k, axis=0))
        own = {name: one_fold(one, k) for name, one in held.items()}
        parts.append(mixed(own, dict(zip(held, weights, strict=True))))
    return joined(parts)


def one_fold(held: HeldOut, k: int) -> HeldOut:
    """The k-th fold alone."""
    folds = held.folds.iloc[[k]]
    rows = (held.cells["fold"] == folds["fold"].iloc[0]).to_numpy()
    return HeldOut(held.cells[rows], held.draws[rows], folds)


if __name__ == "__main__":
    main()
