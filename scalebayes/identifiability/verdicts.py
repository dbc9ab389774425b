"""identifiability: verdicts on groups of parameters, from posterior against prior.

Each parameter is compared with its prior given its hyperparameters (see `prior_and_posterior`), on the
unconstrained scale: positive parameters as logs and shares as logits. There, priors are near normal and units
do not matter. `contraction` measures how much the data have contracted single parameters and combinations.

Parameters that are not identified are replaced by invariants: loadings, identified up to a rotation, by the
lengths of the rows of Lam and the cosines of the angles between them, which determine Lam Lam'; effects on
skills by effects on benchmarks; parameters with an arbitrary sign by the log of their absolute value.

References:
    Detecting and diagnosing prior and likelihood sensitivity with power-scaling,
    https://doi.org/10.1007/s11222-023-10366-5
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from arviz_base import from_dict
from arviz_stats import psense

from scalebayes.identifiability.contraction import MIN_CONTRACTION, contraction, directions, pairs
from scalebayes.identifiability.prior_and_posterior import side_by_side
from scalebayes.identifiability.remedies import OF_INPUT, Seen, lacking, listed, remedy
from scalebayes.inference.diagnostics import MAX_RANGE_OF_CONSTANT
from scalebayes.inference.draws import evenly
from scalebayes.model.law import prior_of
from scalebayes.prediction.reliability import checked

if TYPE_CHECKING:
    from scalebayes.identifiability.prior_and_posterior import Draws
    from scalebayes.inference.posterior import Fit
    from scalebayes.model.law import Law

MAX_DRAWS = 2000
"""Largest number of draws used. Variances then have a Monte Carlo error of a few percent."""

MIN_CONTRACTION_IDENTIFIED = 0.75
"""Contraction of an identified parameter: its posterior sd is at most half its prior sd."""

MIN_SENSITIVITY = 0.05
"""Smallest sensitivity to prior or likelihood that matters: the threshold of Kallioinen et al."""

MAX_TAIL_PROBABILITY = 0.01
"""Prior tail probability of the posterior median, on either side, below which prior and data may conflict."""

VERDICTS = ("identified", "weakly identified", "prior-driven", "prior conflict")
"""From best to worst."""

NOT_JUDGED = "not judged"


@dataclass(frozen=True, eq=False)
class Identifiability:
    """Which parameters of a fit the data identify.

    Attributes:
        groups: One row per group of parameters: group, phrase, elements (their number), contraction (median),
            worst and worst_at (smallest contraction, and its labels), prior_sensitivity (largest), verdict (the
            most frequent), share (of elements with it), and remedy for the elements that are not identified.
        elements: One row per parameter: site, group, at (its labels), name, benchmark, input, block, local (whether
            it is an effect of a family, run or model), judged, need (the data that inform it, in `remedies`),
            contraction, prior_sensitivity and likelihood_sensitivity, verdict; and median and 90% interval of
            prior and posterior, in prior sds from the prior mean: prior_median, prior_lower, prior_upper, and
            likewise for the posterior.
        directions: One row per block of parameters (those of a benchmark, of a domain, or shared): block,
            parameters (their number), effective_rank, effective_parameters, worst_contraction and worst
            (direction), best_contraction and best.
        weights: block, parameter, worst, best: the change of each parameter along a direction in sds of its prior,
            relative to the largest change.
        correlation: Posterior correlations of all parameters in blocks.
        pairs: Pairs of parameters with correlations beyond `MIN_CORRELATION`: one, other, correlation.
        lacking: Reasons in the design, a sentence each, with the data to add.
        n_draws: Number of draws of prior and posterior.

    Example:
        >>> found = sb.identifiability(fit)
        >>> set(found.elements["verdict"]) <= {"identified", "weakly identified", "prior-driven", "prior conflict"}
        True
    """

    groups: pd.DataFrame
    elements: pd.DataFrame = field(repr=False)
    directions: pd.DataFrame = field(repr=False)
    weights: pd.DataFrame = field(repr=False)
    correlation: pd.DataFrame = field(repr=False)
    pairs: pd.DataFrame = field(repr=False)
    lacking: tuple[str, ...]
    n_draws: int

    def __str__(self) -> str:
        """Tables of groups and of the worst direction of each block, and reasons in the design."""
        columns = ["group", "contraction", "worst", "worst_at", "verdict", "share", "remedy"]
        groups = self.groups[columns]
        blocks = self.directions[["block", "effective_rank", "parameters", "worst"]]
        tables = [t.round(2).to_string(index=False) for t in (groups, blocks)]
        return "\n\n".join([*tables, "\n".join(self.lacking)])


@checked
def identifiability(fit: Fit, *, seed: int = 0) -> Identifiability:
    """Judge which parameters of a fit the data identify, and suggest which data to add.

    A parameter is `identified` if its contraction is at least 0.75, `weakly identified` if it is at least 0.5, and
    `prior-driven` otherwise. The verdict is `prior conflict` if the posterior median lies in a 1% tail of the
    prior and the posterior is sensitive to power-scaling of both prior and likelihood. Sensitivities are to
    the parameter's own prior given its hyperparameters, and to the joint likelihood. Effects of families,
    runs and models, whose prior is their population, are judged by contraction alone.

    The effective rank of a block is the number of directions with contraction of at least one half. It is the
    rank of the Fisher information, with eigenvalues below the prior precision counted as zero. The effective
    number of parameters is the sum of the positive contractions over all directions. Both are computed from
    posterior draws. Sample eigenvalues are spread out: for p parameters without data and n independent draws, the
    worst contraction is about -2 sqrt(2 p / n) instead of zero.

    Args:
        fit: The fit of any law.
        seed: Seed of the draws from the prior.

    Returns:
        Tables by group, parameter and block. Printing it shows a summary.

    Raises:
        ValueError: If the fit has too few draws for the covariances of its parameters.

    Example:
        >>> found = sb.identifiability(fit)
        >>> found.groups[["group", "contraction", "verdict", "remedy"]].shape[1]
        4

    References:
        Kallioinen, Paananen, Buerkner and Vehtari, Detecting and diagnosing prior and likelihood sensitivity with
        power-scaling, https://doi.org/10.1007/s11222-023-10366-5
    """
    n_draws = len(next(iter(fit.draws().values())))
    seen = Seen.by(fit)
    draws = side_by_side(fit, seen.models, evenly(n_draws, min(MAX_DRAWS, n_draws)), seed)
    elements = _elements(draws)
    inside = elements[(elements["block"] != "") & elements["judged"]]
    tables = [
        directions(
            draws.prior[:, own.index], draws.posterior[:, own.index], list(own["name"]), str(block)
        )
        for block, own in inside.groupby("block", sort=False)
    ]
    names = list(inside["name"])
    correlation = pd.DataFrame(
        np.corrcoef(draws.posterior[:, inside.index], rowvar=False), names, names
    )
    return Identifiability(
        groups=pd.DataFrame(
            [_group(own, fit.law, seen) for _, own in elements.groupby("group", sort=False)]
        ),
        elements=elements,
        directions=pd.DataFrame([row for row, _ in tables]),
        weights=pd.concat([weights for _, weights in tables], ignore_index=True),
        correlation=correlation,
        pairs=pairs(correlation),
        lacking=lacking(seen, list(elements["need"]), fit.design.labels("benchmark")),
        n_draws=len(draws.prior),
    )


def _elements(draws: Draws) -> pd.DataFrame:
    """The table of single parameters."""
    sd = draws.prior.std(axis=0, ddof=1)
    table = draws.elements.assign(
        need=[
            OF_INPUT.get(own, own) if need == "inputs" else need
            for need, own in zip(draws.elements["need"], draws.elements["input"], strict=True)
        ],
        contraction=np.where(
            draws.elements["judged"], contraction(draws.prior, draws.posterior), np.nan
        ),
        **_sensitivities(draws),
    )
    for name, values in (("prior", draws.prior), ("posterior", draws.posterior)):
        counted = (values - draws.prior.mean(axis=0)) / sd
        low, middle, high = np.quantile(counted, [0.05, 0.5, 0.95], axis=0)
        table = table.assign(
            **{f"{name}_median": middle, f"{name}_lower": low, f"{name}_upper": high}
        )
    below = (draws.prior < np.median(draws.posterior, axis=0)).mean(axis=0)
    surprising = np.minimum(below, 1 - below) < MAX_TAIL_PROBABILITY
    both = (table[["prior_sensitivity", "likelihood_sensitivity"]] >= MIN_SENSITIVITY).all(axis=1)
    gained = table["contraction"]
    cases = {
        NOT_JUDGED: ~table["judged"],
        "prior conflict": surprising & both,
        "identified": gained >= MIN_CONTRACTION_IDENTIFIED,
        "weakly identified": gained >= MIN_CONTRACTION,
    }
    verdict = np.select(list(cases.values()), list(cases), "prior-driven")
    return table.assign(verdict=verdict)


def _sensitivities(draws: Draws) -> dict[str, np.ndarray]:
    """Prior and likelihood sensitivity of every parameter; NaN for effects of families and models."""
    found = {k: np.full(len(draws.elements), np.nan) for k in ("prior", "likelihood")}
    varies = (
        np.ptp(draws.posterior, axis=0) > MAX_RANGE_OF_CONSTANT
    )  # the angles of a single skill are constant
    for _, own in draws.elements[~draws.elements["local"]].groupby("site", sort=False):
        at = own.index[varies[own.index]]
        known = [draws.log_prior[k] for k in own["sampled"].iloc[0]]
        log_prior = np.sum(known, axis=0)
        for component, density in (("prior", log_prior), ("likelihood", draws.log_likelihood)):
            found[component][own.index] = 0.0
            if (
                len(at) and np.ptp(density) > MAX_RANGE_OF_CONSTANT
            ):  # a uniform prior has constant density
                group = {
                    "posterior": {"x": draws.posterior[None, :, at]},
                    f"log_{component}": {"all": density[None]},
                }
                sensitivity = psense(from_dict(group), group=component)["x"]
                found[component][at] = sensitivity.to_numpy()
    return {f"{component}_sensitivity": values for component, values in found.items()}


def _group(elements: pd.DataFrame, law: Law, seen: Seen) -> dict[str, Any]:
    """A row of `Identifiability.groups`."""
    first = elements.iloc[0]
    counts = elements["verdict"].value_counts()
    verdict = max(counts.index, key=lambda v: (counts[v], (*VERDICTS, NOT_JUDGED).index(v)))
    worst = elements.sort_values("contraction", kind="stable").iloc[0]
    phrase = first["phrase"]
    return {
        "group": first["group"],
        "phrase": f"{phrase}: {first['input'].replace('_', ' ')}" if first["input"] else phrase,
        "elements": len(elements),
        "contraction": elements["contraction"].median(),
        "worst": worst["contraction"],
        "worst_at": worst["at"],
        "prior_sensitivity": elements["prior_sensitivity"].max(),
        "verdict": verdict,
        "share": counts[verdict] / len(elements),
        "remedy": _remedy(elements, law, seen),
    }


def _remedy(elements: pd.DataFrame, law: Law, seen: Seen) -> str:
    """Remedy for the parameters of a group that are not identified; empty if all are."""
    first, verdict = elements.iloc[0], elements["verdict"]
    if not first["judged"]:
        return "hidden units are exchangeable: judge the predictions instead"
    conflicts = elements[verdict == VERDICTS[3]]
    unknown = elements[verdict.isin(VERDICTS[1:3])]
    parts = []
    for rows, text in (
        (
            conflicts,
            f"the data conflict with the prior{_prior(first['site'], law)}: revise it, or widen it",
        ),
        (unknown, remedy(seen, first["need"], list(dict.fromkeys(unknown["benchmark"])))),
    ):
        if len(rows):
            where = "" if len(rows) == len(elements) else f"at {listed(list(rows['at']))}: "
            parts.append(where + text)
    return "; ".join(parts)


def _prior(site: str, law: Law) -> str:
    return f" {described}" if (described := prior_of(law, site)) else ""
