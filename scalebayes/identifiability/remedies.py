"""Reasons in the design why parameters are not identified, and which data to add."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from scalebayes.data.schema import quoted
from scalebayes.data.validation import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalebayes.inference.posterior import Fit

MIN_LOG_RATIO = 0.05
"""Smallest log ratio of distinct sizes or token counts: papers round them."""

MIN_GROUPS = 5
"""Smallest number of families (benchmarks, domains, mixtures) to estimate a spread between them. With fewer it has
less than 4 degrees of freedom, and its posterior has a long upper tail."""

MAX_CORRELATION_OF_INPUTS = 0.95
"""Within families with a larger correlation of log N and log D, nine tenths of the variance are common."""

MAX_DISTANCE_TO_ASYMPTOTE = 0.1
"""Scores this close to floor or ceiling, as a share of the range between them, inform it."""

MIN_SPAN_OF_SCORES = 0.5
"""Scores must span this share of the range between floor and ceiling to inform the bend of a link."""

MIN_DECADES = 3.0
"""Decades of FLOPs needed to distinguish power laws with and without an irreducible part."""


class Seen(NamedTuple):
    """Summary of the data of a fit, from which reasons are derived.

    Attributes:
        models: The seen rows of the table of models.
        share: Seen scores as shares of the range above chance, with columns benchmark and share.
        domains: Number of loss domains with seen losses.
        mixtures: Number of different mixtures of the seen models.
        skills: Number of skills of the law, zero where it has none.
        constant: Covariates of the law that are the same for all seen models.
    """

    models: pd.DataFrame
    share: pd.DataFrame
    domains: int
    mixtures: int
    skills: int
    constant: tuple[str, ...]

    @classmethod
    def by(cls, fit: Fit) -> Seen:
        """Summarise the data of a fit."""
        own = fit.observations
        scores, losses = own.scores[fit.seen], own.losses[fit.losses_seen]
        chance = scores["chance"].fillna(0.0)
        mixtures = own.mixtures[own.mixtures["model"].isin(fit.seen_models["model"])]
        wide = mixtures.pivot(index="model", columns="source", values="weight").fillna(0.0)
        return cls(
            models=fit.seen_models,
            share=scores[["benchmark"]].assign(share=(scores["score"] - chance) / (1 - chance)),
            domains=losses["domain"].nunique(),
            mixtures=len(wide.round(2).drop_duplicates()),
            constant=tuple(
                name for name in fit.law.covariates if fit.seen_models[name].nunique() < 2
            ),
            skills=len(fit.law.coords().get("skill", ())),
        )

    def families_with_two(self, column: str) -> int:
        """Number of families with at least two sizes, or two token counts."""
        known = self.models[["family", column]].dropna()
        logs = pd.Series(np.log(known[column].to_numpy(float)))
        span = logs.groupby(known["family"].to_numpy()).agg(np.ptp)
        return int((span > MIN_LOG_RATIO).sum())

    def collinear(self) -> bool:
        """Whether log N and log D are nearly collinear within families."""
        known = self.models[["family", "params", "tokens"]].dropna()
        logs = pd.DataFrame(np.log(known[["params", "tokens"]].to_numpy(float)))
        own = logs - logs.groupby(known["family"].to_numpy()).transform("mean")
        spread = np.sqrt((own**2).sum())
        return bool((own[0] * own[1]).sum() > MAX_CORRELATION_OF_INPUTS * spread[0] * spread[1] > 0)


Reason = str | None


class Need(NamedTuple):
    """Data that inform parameters of one kind.

    Attributes:
        lacks: Function of the data and the benchmarks concerned that returns the reason why they are insufficient,
            or None.
        add: Which data to add.
    """

    lacks: Callable[[Seen, Sequence[str]], Reason]
    add: str


def _two(column: str, what: str) -> Callable[[Seen, Sequence[str]], Reason]:
    def lacks(seen: Seen, at: Sequence[str]) -> Reason:
        n, families = seen.families_with_two(column), seen.models["family"].nunique()
        if n == 0:
            return f"no family has two {what}"
        if n < min(MIN_GROUPS, families):
            return f"only {n} of {families} families {'has' if n == 1 else 'have'} two {what}"
        return "within families size and tokens are nearly collinear" if seen.collinear() else None

    return lacks


def _near(low: bool) -> Callable[[Seen, Sequence[str]], Reason]:
    def lacks(seen: Seen, at: Sequence[str]) -> Reason:
        share = seen.share.groupby("benchmark", sort=False)["share"]
        away = (
            share.min() > MAX_DISTANCE_TO_ASYMPTOTE
            if low
            else share.max() < 1 - MAX_DISTANCE_TO_ASYMPTOTE
        )
        without = [b for b in at if away.get(b, False)]
        return (
            f"no score near the {'floor' if low else 'ceiling'} of {listed(without)}"
            if without
            else None
        )

    return lacks


def _span(seen: Seen, at: Sequence[str]) -> Reason:
    span = seen.share.groupby("benchmark", sort=False)["share"].agg(np.ptp)
    narrow = [b for b in at if span.get(b, 1.0) < MIN_SPAN_OF_SCORES]
    return f"scores span less than half the range of {listed(narrow)}" if narrow else None


def _families(seen: Seen, at: Sequence[str]) -> Reason:
    n = seen.models["family"].nunique()
    if n >= MIN_GROUPS:
        return None
    return "there is only one family" if n == 1 else f"there are only {n} families"


def _lineages(seen: Seen, at: Sequence[str]) -> Reason:
    several = seen.models.groupby("lineage")["family"].nunique() > 1
    return None if several.any() else "no lineage has two families"


def _models(seen: Seen, at: Sequence[str]) -> Reason:
    return (
        None if (seen.models["family"].value_counts() > 2).any() else "no family has three models"
    )


def _benchmarks(seen: Seen, at: Sequence[str]) -> Reason:
    n, needed = seen.share["benchmark"].nunique(), 2 * seen.skills + 1
    if n >= needed:
        return None
    return f"{n} benchmarks cannot separate {seen.skills} skills from specific parts"


def _few_benchmarks(seen: Seen, at: Sequence[str]) -> Reason:
    n = seen.share["benchmark"].nunique()
    return f"there are only {n} benchmarks" if n < MIN_GROUPS else None


def _compute(seen: Seen, at: Sequence[str]) -> Reason:
    flops = seen.models["flops"].dropna()
    decades = float(np.log10(flops.max() / flops.min())) if len(flops) else 0.0
    return f"the models span {decades:.1f} decades of FLOPs" if decades < MIN_DECADES else None


def _domains(seen: Seen, at: Sequence[str]) -> Reason:
    n = seen.domains
    if n >= MIN_GROUPS:
        return None
    return f"there are losses on only {n} domain{'' if n == 1 else 's'}"


def _checkpoints(seen: Seen, at: Sequence[str]) -> Reason:
    return None if seen.models["run"].duplicated().any() else "no run has two checkpoints"


def _mixtures(seen: Seen, at: Sequence[str]) -> Reason:
    n = seen.mixtures
    return f"there are only {n} different mixtures" if n < MIN_GROUPS else None


def _covariates(seen: Seen, at: Sequence[str]) -> Reason:
    return f"{listed(list(seen.constant))} is the same for all models" if seen.constant else None


def _tokens(seen: Seen, at: Sequence[str]) -> Reason:
    n = int(seen.models["tokens"].isna().sum())
    return f"the token count of {plural(n, 'model')} is missing"


def _nothing(seen: Seen, at: Sequence[str]) -> Reason:
    return None


NEEDS = {
    "size": Need(_two("params", "sizes"), "add families with models of several sizes"),
    "tokens": Need(
        _two("tokens", "token budgets"), "add families with models of different token budgets"
    ),
    "compute": Need(_compute, "add runs far smaller or far larger than those seen"),
    "low scores": Need(_near(True), "add models that score near the floor"),
    "high scores": Need(_near(False), "add models that score near the ceiling"),
    "range of scores": Need(_span, "add weaker or stronger models"),
    "extreme scores": Need(
        _nothing,
        "add repeated evaluations; other data do not inform it, and its prior holds what is known",
    ),
    "scores": Need(_nothing, "add scores"),
    "losses": Need(_nothing, "add runs with losses"),
    "families": Need(_families, "add families"),
    "lineages": Need(_lineages, "add families of the same lineages"),
    "models": Need(_models, "add models of the same families"),
    "benchmarks": Need(_benchmarks, "add benchmarks, or fit fewer skills"),
    "skills": Need(_nothing, "add benchmarks"),
    "more benchmarks": Need(_few_benchmarks, "add benchmarks"),
    "domains": Need(_domains, "add losses on further domains"),
    "checkpoints": Need(_checkpoints, "add checkpoints of the same runs"),
    "mixtures": Need(_mixtures, "add models trained on other mixtures"),
    "covariates": Need(_covariates, "add models that differ in the covariate"),
    "token counts": Need(_tokens, "add token counts where they are known"),
}
"""Needs by the kind of data that inform a parameter: `Site.informed_by`."""

OF_INPUT = {"params": "size", "size_x_tokens": "tokens", "flops": "compute"}
"""Need of the slope on an input, if it differs from the name of the input."""


def remedy(seen: Seen, need: str, at: Sequence[str]) -> str:
    """The reason in the design why a parameter is not identified, if there is one, and which data to add.

    Args:
        seen: Summary of the data of the fit.
        need: A name in `NEEDS`.
        at: Labels of the benchmarks concerned.
    """
    known = _need(need)
    reason = known.lacks(seen, at)
    return f"{reason}; {known.add}" if reason else known.add


def lacking(seen: Seen, needs: Sequence[str], at: Sequence[str]) -> tuple[str, ...]:
    """All reasons in the design for the given needs, with the data to add."""
    known = [_need(name) for name in dict.fromkeys(needs)]
    return tuple(f"{reason}: {own.add}" for own in known if (reason := own.lacks(seen, at)))


def _need(name: str) -> Need:
    if name not in NEEDS:
        raise ValueError(
            f"informed_by of a site must be one of {quoted(NEEDS, len(NEEDS))}, but is {name!r}: correct the "
            "declaration of the site"
        )
    return NEEDS[name]


def listed(names: Sequence[str], most: int = 4) -> str:
    """The first few names, joined by commas, and the number of the others."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
