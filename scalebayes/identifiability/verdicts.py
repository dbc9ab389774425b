"""What the data identify and what they do not: posterior against prior, group by group.

Each parameter is set beside its own prior, given the parameters above it (see `unconstrained`), on the scale
of the sampler: positive ones as logs and shares as logits, where priors are near normal and units do not
matter. How much the data have contracted it, alone and in combination, is told by `covariances`.

Where a law's parameters have twins that say the same, what they have in common is judged: of loadings,
known up to a rotation, the lengths of the rows of Lam and the cosines of the angles between them, which are
all of Lam Lam'; of effects on skills, what they do to the benchmarks; of parameters that may change their
sign, the log of their size.

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

from scalebayes.identifiability.contraction import HALF, contraction, directions, pairs
from scalebayes.identifiability.prior_and_posterior import side_by_side
from scalebayes.identifiability.remedies import OF_INPUT, Seen, lacking, listed, remedy
from scalebayes.inference.diagnostics import CONSTANT
from scalebayes.inference.draws import evenly
from scalebayes.model.law import prior_of

if TYPE_CHECKING:
    from scalebayes.identifiability.prior_and_posterior import Draws
    from scalebayes.inference.posterior import Fit
    from scalebayes.model.law import Law

DRAWS = 2000
"""Draws used: variances are then known to a few percent, and to no more in a longer fit whose draws depend."""

IDENTIFIED = 0.75
"""Contraction from which on the data tell at least three times as much as the prior: its sd is halved."""

SENSITIVE = 0.05
"""Sensitivity from which on a prior, or the data, matters: Kallioinen and others' threshold."""

TAIL = 0.01
"""A posterior median in this tail of its prior, on either side, is one that the prior did not expect."""

VERDICTS = ("identified", "weakly identified", "prior-driven", "prior conflict")
"""From best to worst."""

NOT_JUDGED = "not judged"


@dataclass(frozen=True, eq=False)
class Identifiability:
    """What the data of a fit identify.

    Attributes:
        groups: One row a group of parameters: group, phrase, elements, contraction (median over the elements),
            worst and worst_at (the least contraction, and where), prior_sensitivity (the largest), verdict (of
            most elements), share (of the elements that have it), and remedy for the elements that are not identified.
        elements: One row a parameter: site, group, at (its labels), name, benchmark, input, block, local (whether it
            is an effect of a family, run or model), judged, need (what tells about it, in `remedies`),
            contraction, prior_sensitivity and likelihood_sensitivity, verdict; and median and 90% interval of
            prior and posterior, counted in sds of the prior from its mean: prior_median, prior_lower,
            prior_upper, and likewise posterior.
        directions: One row a block of parameters, those of one benchmark, one domain, or shared: block,
            parameters (their number), effective_rank, effective_parameters, worst_contraction and worst
            (direction), best_contraction and best.
        weights: block, parameter, worst, best: how far each parameter moves along a direction, in sds of its prior,
            the one that moves most by one.
        correlation: Posterior correlations of all parameters in blocks.
        pairs: Pairs of parameters with correlations beyond `CORRELATED`: one, other, correlation.
        lacking: What the design itself lacks, a sentence each, with what to add.
        n_draws: Number of draws of prior and posterior.
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
        """The groups and the worst direction of each block, and what the design lacks."""
        columns = ["group", "contraction", "worst", "worst_at", "verdict", "share", "remedy"]
        groups = self.groups[columns]
        blocks = self.directions[["block", "effective_rank", "parameters", "worst"]]
        tables = [t.round(2).to_string(index=False) for t in (groups, blocks)]
        return "\n\n".join([*tables, "\n".join(self.lacking)])


def identifiability(fit: Fit, *, seed: int = 0) -> Identifiability:
    """Tell what the data of a fit identify, what its priors decide, and what to add.

    The verdict of a parameter is `identified` with contraction from `IDENTIFIED` on, `weakly identified`
    from `HALF` on, and else `prior-driven`. It is `prior conflict` where the posterior median lies
    in a tail of the prior that holds `TAIL`, and power-scaling says that prior and data both matter.
    Sensitivities are those to the parameter's own prior, given the parameters above it, and to the joint likelihood.
    Families, runs and models are no matter of a prior, which for them is the population: they
    are judged by contraction alone.

    The effective rank of a block is the number of directions in which the data have contracted the prior
    by at least half: the rank of the data's Fisher information, where what weighs less than the prior counts
    as none. The effective number of parameters is the sum of contractions over all directions, nothing being
    counted below zero. Both rest on posterior draws, not on derivatives at a point. Eigenvalues of sampled
    covariances are spread: of p parameters that the data say nothing about, with n independent
    draws, the worst contraction comes out at about -2 sqrt(2 p / n), not at zero.

    Args:
        fit: The fit, of any law.
        seed: Seed of the draws from the prior.

    Returns:
        Tables by group, by parameter and by block; print it for the summary.

    Raises:
        ValueError: If the fit has too few draws for the covariances of its parameters.
    """
    n_draws = len(next(iter(fit.draws().values())))
    seen = Seen.by(fit)
    draws = side_by_side(fit, seen.models, evenly(n_draws, min(DRAWS, n_draws)), seed)
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
    surprising = np.minimum(below, 1 - below) < TAIL
    both = (table[["prior_sensitivity", "likelihood_sensitivity"]] >= SENSITIVE).all(axis=1)
    verdict = np.select(
        [~table["judged"], surprising & both, table["contraction"] >= IDENTIFIED, table["contraction"] >= HALF],
        [NOT_JUDGED, VERDICTS[3], VERDICTS[0], VERDICTS[1]],
        VERDICTS[2],
    )  # fmt: skip
    return table.assign(verdict=verdict)


def _sensitivities(draws: Draws) -> dict[str, np.ndarray]:
    """Prior and likelihood sensitivity of every parameter; NaN for effects of families and models."""
    found = {k: np.full(len(draws.elements), np.nan) for k in ("prior", "likelihood")}
    varies = np.ptp(draws.posterior, axis=0) > CONSTANT  # the angle of a single skill does not
    for _, own in draws.elements[~draws.elements["local"]].groupby("site", sort=False):
        at = own.index[varies[own.index]]
        known = [draws.log_prior[k] for k in own["sampled"].iloc[0]]
        log_prior = np.sum(known, axis=0)
        for component, density in (("prior", log_prior), ("likelihood", draws.log_likelihood)):
            found[component][own.index] = 0.0
            if len(at) and np.ptp(density) > CONSTANT:  # that of a uniform prior is not
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
    """What to do about the parameters of a group that are not identified; empty where all are."""
    first, verdict = elements.iloc[0], elements["verdict"]
    if not first["judged"]:
        return "hidden units may change places: judge what the law predicts"
    conflicts = elements[verdict == VERDICTS[3]]
    unknown = elements[verdict.isin(VERDICTS[1:3])]
    parts = []
    for rows, text in (
        (
            conflicts,
            f"the data pull away from the prior{_prior(first['site'], law)}: question it, or widen it",
        ),
        (unknown, remedy(seen, first["need"], list(dict.fromkeys(unknown["benchmark"])))),
    ):
        if len(rows):
            where = "" if len(rows) == len(elements) else f"at {listed(list(rows['at']))}: "
            parts.append(where + text)
    return "; ".join(parts)


def _prior(site: str, law: Law) -> str:
    return f" {described}" if (described := prior_of(law, site)) else ""
