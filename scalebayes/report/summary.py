"""Facts about a fit as values for a table or JSON."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from scalebayes.model.law import priors as priors_of
from scalebayes.model.specification import specification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalebayes.inference.posterior import Fit


def verdict(fit: Fit) -> dict[str, Any]:
    """The convergence checks of a fit: their statistics and failures."""
    return {"converged": fit.verdict.passed, **dataclasses.asdict(fit.verdict)}


def headline(fit: Fit) -> str:
    """One line with the convergence checks of a fit, its attempts if there were several, and its seconds."""
    attempts = len(fit.provenance.get("attempts", ()))  # absent from files of older versions
    after = f"; {attempts} attempts" if attempts > 1 else ""
    seconds = sum(fit.provenance["seconds"].values())
    return f"{str(fit.verdict).splitlines()[0]}{after}; {seconds:.0f} s"


def about(fit: Fit) -> dict[str, Any]:
    """Law, data, verdict, settings, seconds, versions and priors of a fit.

    Settings of a sampler that uses another, such as `Staged`, are nested; see `flat`.
    """
    spec = specification(fit.law)
    priors = priors_of(fit.law)
    choices = {k: v for k, v in spec["fields"].items() if k not in {name for name, *_ in priors}}
    seen = fit.observations
    return {
        "law": {"name": spec["law"], **choices},
        "data": {
            "models": len(seen.models),
            "families": len(seen.families),
            "benchmarks": list(seen.benchmarks),
            "scores": len(seen.scores),
            "domains": list(seen.domains),
            "losses": len(seen.losses),
            "held_out": list(fit.held_out),
        },
        "verdict": verdict(fit),
        "settings": {"seed": fit.seed, **fit.provenance["sampler"]},
        "seconds": fit.provenance["seconds"],
        "versions": fit.provenance["versions"],
        "priors": [{"name": n, "prior": d, "reason": r} for n, d, r in priors],
    }


def flat(settings: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    """Settings without nesting: {"within": {"draws": 8}} becomes {"within: draws": 8}."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= flat(value, f"{inside}{name}: ")
        else:
            found[f"{inside}{name}"] = value
    return found
