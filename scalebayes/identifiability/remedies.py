"""What a design cannot tell, whatever the law: reasons in words, and what to add."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from scalebayes.data.validation import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalebayes.inference.posterior import Fit

SAME = 0.05
"""Sizes or token counts that differ by less than 5% are one: papers round them."""

FEW_FAMILIES = 5
"""Below so many families their spread has fewer than 4 degrees of freedom, and no upper bound to speak of."""

IN_STEP = 0.95
"""Correlation of log N and log D within families from which on nine tenths of one are the other."""

NEAR_END = 0.1
"""A score within a tenth of the room of floor or ceiling tells where that lies."""

WIDE = 0.5
"""Scores that span half the room show the middle of a link and one of its bends."""

DECADES = 3.0
"""Curves of loss bend over decades: with fewer, power laws with and without an irreducible part look alike."""


class Seen(NamedTuple):
    """What a fit has seen, as reasons ask for it.

    Attributes:
        models: The seen rows of the table of models.
        share: Seen scores as shares of the room above chance, with columns benchmark and share.
        domains: Loss domains that were seen.
        mixtures: How many different mixtures the seen models have.
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
        """What this fit has seen."""
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
        """How many families have models of two sizes, or of two token counts."""
        known = self.models[["family", column]].dropna()
        logs = pd.Series(np.log(known[column].to_numpy(float)))
        span = logs.groupby(known["family"].to_numpy()).agg(np.ptp)
        return int((span > SAME).sum())

    def in_step(self) -> bool:
        """Whether sizes and token counts of families rise together."""
        known = self.models[["family", "params", "tokens"]].dropna()
        logs = pd.DataFrame(np.log(known[["params", "tokens"]].to_numpy(float)))
        own = logs - logs.groupby(known["family"].to_numpy()).transform("mean")
        spread = np.sqrt((own**2).sum())
        return bool((own[0] * own[1]).sum() > IN_STEP * spread[0] * spread[1] > 0)


Reason = str | None


class Need(NamedTuple):
    """What parameters of one kind need.

    Attributes:
        lacks: The reason why a design does not tell these benchmarks (or what they are labelled by), or None.
        add: What would tell.
    """

    lacks: Callable[[Seen, Sequence[str]], Reason]
    add: str


def _two(column: str, what: str) -> Callable[[Seen, Sequence[str]], Reason]:
    def lacks(seen: Seen, at: Sequence[str]) -> Reason:
        n, families = seen.families_with_two(column), seen.models["family"].nunique()
        if n == 0:
            return f"no family has two {what}"
        if n < min(FEW_FAMILIES, families):
            return f"only {n} of {families} families {'has' if n == 1 else 'have'} two {what}"
        return "within families tokens rise in step with size" if seen.in_step() else None

    return lacks


def _near(low: bool) -> Callable[[Seen, Sequence[str]], Reason]:
    def lacks(seen: Seen, at: Sequence[str]) -> Reason:
        share = seen.share.groupby("benchmark", sort=False)["share"]
        away = share.min() > NEAR_END if low else share.max() < 1 - NEAR_END
        without = [b for b in at if away.get(b, False)]
        return (
            f"no score near the {'floor' if low else 'ceiling'} of {listed(without)}"
            if without
            else None
        )

    return lacks


def _span(seen: Seen, at: Sequence[str]) -> Reason:
    span = seen.share.groupby("benchmark", sort=False)["share"].agg(np.ptp)
    narrow = [b for b in at if span.get(b, 1.0) < WIDE]
    return f"scores span less than half the room of {listed(narrow)}" if narrow else None


def _families(seen: Seen, at: Sequence[str]) -> Reason:
    n = seen.models["family"].nunique()
    if n >= FEW_FAMILIES:
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
    return f"{n} benchmarks cannot tell {seen.skills} skills from what is specific to each"


def _few_benchmarks(seen: Seen, at: Sequence[str]) -> Reason:
    n = seen.share["benchmark"].nunique()
    return f"there are only {n} benchmarks" if n < FEW_FAMILIES else None


def _compute(seen: Seen, at: Sequence[str]) -> Reason:
    flops = seen.models["flops"].dropna()
    decades = float(np.log10(flops.max() / flops.min())) if len(flops) else 0.0
    return f"the models span {decades:.1f} decades of FLOPs" if decades < DECADES else None


def _domains(seen: Seen, at: Sequence[str]) -> Reason:
    n = seen.domains
    if n >= FEW_FAMILIES:
        return None
    return f"there are losses on only {n} domain{'' if n == 1 else 's'}"


def _checkpoints(seen: Seen, at: Sequence[str]) -> Reason:
    return None if seen.models["run"].duplicated().any() else "no run has two checkpoints"


def _mixtures(seen: Seen, at: Sequence[str]) -> Reason:
    n = seen.mixtures
    return f"there are only {n} different mixtures" if n < FEW_FAMILIES else None


def _covariates(seen: Seen, at: Sequence[str]) -> Reason:
    return f"{listed(list(seen.constant))} is the same for all models" if seen.constant else None


def _tokens(seen: Seen, at: Sequence[str]) -> Reason:
    n = int(seen.models["tokens"].isna().sum())
    return f"the token count of {plural(n, 'model')} is not given"


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
        "nothing but repeated evaluations would tell; the prior says what is known of them",
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
    "token counts": Need(_tokens, "give them where they are known"),
}
"""By what tells about a parameter."""

OF_INPUT = {"params": "size", "size_x_tokens": "tokens", "flops": "compute"}
"""What tells about the slope on an input, where that is not the input's own name."""


def remedy(seen: Seen, need: str, at: Sequence[str]) -> str:
    """Why the design does not tell a parameter, where there is a reason, and what to add.

    Args:
        seen: What the fit has seen.
        need: A name in `NEEDS`.
        at: Labels of the benchmarks concerned.
    """
    reason = NEEDS[need].lacks(seen, at)
    return f"{reason}; {NEEDS[need].add}" if reason else NEEDS[need].add


def lacking(seen: Seen, needs: Sequence[str], at: Sequence[str]) -> tuple[str, ...]:
    """All that the design lacks of what a law's parameters need, with what to add."""
    found = {need: NEEDS[need].lacks(seen, at) for need in dict.fromkeys(needs)}
    return tuple(f"{reason}: {NEEDS[need].add}" for need, reason in found.items() if reason)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a sentence, the first few and the number of the rest."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
