"""compare: which of several fitted laws predicts unseen scores best.

Leave-one-out by single scores estimates how well a law fills a gap in a table. Users want to predict a
larger model. `by="larger"`, the default, estimates that: of each family in turn only the smallest models
are kept. The two may disagree.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from scalebayes.data.schema import quoted
from scalebayes.data.validation import plural
from scalebayes.evaluation.evidence import SPLITS, folds_of, pieces, seen_alone
from scalebayes.evaluation.predictions import HeldOut, mixed
from scalebayes.prediction.averaging import check_same_scores, pseudo_bma, stacking
from scalebayes.prediction.reliability import warn_unless_converged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from scalebayes.evaluation.pieces import Pieces
    from scalebayes.inference.posterior import Fit

By = Literal["larger", "family", "model", "score"]
Method = Literal["stacking", "pseudo-bma"]

MIN_PIECES_FOR_PSEUDO_BMA = 5
"""With fewer pieces the variance of differences between laws, which pseudo-BMA+ needs, is poorly estimated."""


@dataclass(frozen=True)
class Comparison:
    """Several laws compared on the same held-out scores.

    Attributes:
        by: What was left out at a time: `larger`, `family`, `model` or `score`.
        table: As ArviZ's, best law first: rank, elpd (sum of log predictive densities over the pieces of
            evidence; the folds of one family hold out overlapping scores, and their mean is one piece), p,
            elpd_diff (how much lower than the best) and its standard error dse, se, mcse (Monte Carlo
            standard error of elpd, as if folds had no draws in common; more draws reduce it), weight,
            warning (whether some density is unreliable), pieces (the number behind se and dse), and failed
            (how many of the law's refits do not pass their checks).
        evidence: One row a fold: fold, piece, n_scores, and a column a law with the log of its joint
            predictive density of the scores of that fold.
        pareto_k: Pareto k of importance sampling, a row a fold and a column a law, including folds that were
            fitted again because of it; NaN where there was none.
        held: For each law its predictions of the folds that were refitted.
    """

    by: str
    table: pd.DataFrame
    evidence: pd.DataFrame = field(repr=False)
    pareto_k: pd.DataFrame = field(repr=False)
    held: dict[str, HeldOut] = field(repr=False)

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each law in an average, which `average` takes."""
        return {str(k): float(v) for k, v in self.table["weight"].items()}

    def average(self) -> HeldOut:
        """Predictions of the same scores by the weighted average of the laws.

        Raises:
            ValueError: If some folds were not refitted.
        """
        complete = [k for k, h in self.held.items() if len(h.folds) == len(self.evidence)]
        if set(complete) != set(self.weights):
            raise ValueError(
                f"by={self.by!r} has no predictions of all pieces, for want of refits: compare by 'larger'"
            )
        return mixed(self.held, self.weights)


def compare(
    fits: Mapping[str, Fit],
    *,
    by: By = "larger",
    keep: Sequence[int] = (1, 2),
    moment_match: bool = True,
    refit: bool = True,
    method: Method = "pseudo-bma",
    folder: str | Path | None = None,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Compare fitted laws by how well they predict scores that they have not seen.

    Refits use the law, seed and settings of the fit; data that the fit holds out are not used. For a law
    without losses, the joint density of a fold comes from the refit and the fit together (see `bridge`).

    Args:
        fits: Fits of the laws to the same scores, by names of your choice.
        by: What is left out at a time. `larger`: all but the smallest sizes of a family, by refits.
            `family`: a family, by refits. `model`: a model with all its scores, and `score`: a single
            score; by Pareto-smoothed importance sampling from the fit itself where that is reliable
            (models of a law with losses, and runs with checkpoints: by refits).
        keep: For `larger`, how many sizes of the family are kept, one fold each.
        moment_match: Whether to match moments where importance sampling is unreliable (Pareto k above 0.7):
            the draws of a model's, or score's, parameters are moved to where they would be without it. The
            result is used if it brings Pareto k below one half.
        refit: Whether to refit without each model, or score, for which both are unreliable.
        method: How weights are computed, see `averaging.pseudo_bma` and `averaging.stacking`. The default
            gives nearly all weight to a law that is clearly best; stacking spreads the weights more, which
            suits laws with different errors, and few pieces.
        folder: Where finished refits are stored. An interrupted comparison resumes from them.
        jobs: Number of refits at once, see `cross_validate`.
        progress: Called with the name of a law, the number of its finished refits and of all refits.

    Returns:
        A table like ArviZ's with weights, and the densities behind it.

    Raises:
        ValueError: If there are fewer than two fits, or they have not seen the same scores, or none, or
            `by` is `score` or `model` and a fit was made in stages.

    References:
        Vehtari, Gelman and Gabry, Practical Bayesian model evaluation using leave-one-out
        cross-validation and WAIC, 2017. https://doi.org/10.1007/s11222-016-9696-4
        Paananen, Piironen, Bürkner and Vehtari, Implicitly adaptive importance sampling, 2021.
        https://doi.org/10.1007/s11222-020-09982-2
    """
    if len(fits) < 2:
        raise ValueError(f"a comparison needs at least two fits, got {list(fits)}")
    if by not in SPLITS:
        raise ValueError(f"by must be larger, family, model or score, but is {by!r}")
    if method not in ("stacking", "pseudo-bma"):
        raise ValueError(f"method must be stacking or pseudo-bma, but is {method!r}")
    if empty := [name for name, fit in fits.items() if not fit.seen.any()]:
        raise ValueError(f"{quoted(empty)} saw no scores, by which laws are compared")
    check_same_scores(fits)
    (first, expected), *others = (
        (k, folds_of(seen_alone(fit), by, keep)) for k, fit in fits.items()
    )
    for name, folds in others:
        if folds != expected:
            raise ValueError(
                f"{first!r} and {name!r} differ in models without scores, and so in what is left out: "
                "fit both to the same table"
            )
    warn_unless_converged(fits)
    settings = (keep, moment_match, refit, folder, jobs)
    found = {
        name: pieces(fit, by, *settings, progress and functools.partial(progress, name))
        for name, fit in fits.items()
    }
    labels = next(iter(found.values())).labels
    n = labels["piece"].nunique()
    if method == "pseudo-bma" and n < MIN_PIECES_FOR_PSEUDO_BMA:
        warnings.warn(
            f"the weights come from {plural(n, 'piece')}, too few for pseudo-BMA, whose weight of the best "
            "law is then too large: choose method='stacking'",
            stacklevel=2,
        )
    evidence = labels.assign(**{n: p.log_density for n, p in found.items()})
    pareto_k = labels[["fold"]].assign(**{n: p.pareto_k for n, p in found.items()})
    held = {name: p.held for name, p in found.items() if p.held is not None}
    return Comparison(by, _table(evidence, found, method), evidence, pareto_k, held)


def _table(evidence: pd.DataFrame, found: Mapping[str, Pieces], method: Method) -> pd.DataFrame:
    """The table of a comparison, best law first."""
    names = list(found)
    density = evidence.groupby("piece", sort=False)[names].mean().to_numpy()
    share = 1 / evidence.groupby("piece")["piece"].transform("size").to_numpy()
    n, elpd = len(density), density.sum(axis=0)
    lower = density[:, [elpd.argmax()]] - density
    refits = [
        p.held.folds["passed"] if p.held is not None else pd.Series(True) for p in found.values()
    ]
    table = pd.DataFrame(
        {
            "elpd": elpd,
            "p": [p.p for p in found.values()],
            "elpd_diff": lower.sum(axis=0),
            "weight": {"stacking": stacking, "pseudo-bma": pseudo_bma}[method](density),
            "se": np.sqrt(n * density.var(axis=0)) if n > 1 else np.nan,
            "dse": np.sqrt(n * lower.var(axis=0)) if n > 1 else np.nan,
            "mcse": [float(np.sqrt(((share * p.mcse) ** 2).sum())) for p in found.values()],
            "warning": [bool(p.unsure.any()) for p in found.values()],
            "pieces": n,
            "failed": [int((~passed.astype(bool)).sum()) for passed in refits],
        },
        index=names,
    )
    table = table.sort_values("elpd", ascending=False, kind="stable")
    table.insert(0, "rank", np.arange(len(table)))
    return table
