"""fit: a law and observations to a posterior."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jax
import numpy as np
import numpyro

from scalebayes.data.folds import hidden, pairs
from scalebayes.inference.attempts import Attempts
from scalebayes.inference.compilation import make_room, use_compilation_cache
from scalebayes.inference.nuts import Nuts
from scalebayes.inference.posterior import Fit
from scalebayes.inference.sampling import sampler_specification
from scalebayes.model import design as designs
from scalebayes.model.requirements import check_mixtures, declarations
from scalebayes.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.folds import Hidden
    from scalebayes.data.observations import Observations
    from scalebayes.inference.sampling import Sampler
    from scalebayes.model.law import Law
    from scalebayes.model.reference import Reference


def fit(
    law: Law,
    observations: Observations,
    *,
    seed: int,
    sampler: Sampler | None = None,
    hold_out: Sequence[Hidden] = (),
    reference: Reference | None = None,
    progress: bool = True,
) -> Fit:
    """Sample the posterior of a law.

    Fits of equal laws to tables of one shape share a compiled program. To fit to subsets of a table, use
    `hold_out`: only the first fit compiles. Where a convergence check fails the sampler goes on, see `Nuts.retries`;
    of all attempts the fit keeps the best, and `fit.provenance["attempts"]` has the diagnostics of each.

    Args:
        law: The law, such as `Sloth()`.
        observations: Validated tables.
        seed: Seed of all random numbers; the same seed gives the same draws.
        sampler: The sampler; by default `Nuts()`. `Staged()` fits the two steps of a law with losses separately.
        hold_out: Observations to leave out: models, with their scores and losses, or single scores, as
            pairs (model, benchmark).
        reference: Centring constants, such as those of another fit; by default medians of the observations.
        progress: Whether to show a progress bar.

    Returns:
        The fit. `fit.verdict` holds the convergence diagnostics; each failed check is also a `ConvergenceWarning`.

    Raises:
        ValueError: If a model to hold out is unknown, no observations are left, or the observations lack data that
            the law or the sampler needs.

    Example:
        >>> import scalebayes as sb
        >>> fit = sb.fit(sb.Sloth(), sb.datasets.open_llm(), seed=0)  # doctest: +SKIP
    """
    sampler = Nuts() if sampler is None else sampler
    held = _held_out(observations, hold_out)
    make_room()
    use_compilation_cache()
    started = time.perf_counter()
    with jax.enable_x64(sampler.x64):
        design = designs.build(
            observations,
            ~held["scores"],
            losses_seen=~held["losses"],
            reference=reference,
            covariates=declarations(law, observations),
        )
        law.check(design)
        check_mixtures(law, design)
        attempts = Attempts(law, design)
        sampled = sampler.sample(law, design, seed=seed, progress=progress, judge=attempts.judge)
        if sampled is not attempts.last:
            attempts.judge(sampled)
    provenance = {
        "seed": seed,
        "sampler": sampler_specification(sampler),
        "seconds": {
            "sampling": time.perf_counter() - started - attempts.seconds,
            "evaluation": attempts.seconds,
        },
        "attempts": [str(verdict).splitlines()[0] for verdict in attempts.verdicts],
        "versions": {
            "scalebayes": __version__,
            "numpyro": numpyro.__version__,
            "jax": jax.__version__,
        },
    }
    result = Fit(
        law=law,
        observations=observations,
        held_out=tuple(dict.fromkeys(hold_out)),
        tree=attempts.best,
        reference=design.reference,
        provenance=provenance,
        judged=attempts.verdict,
    )
    result.verdict.warn(len(attempts.verdicts))
    return result


def _held_out(observations: Observations, hold_out: Sequence[Hidden]) -> dict[str, np.ndarray]:
    """Masks of the held-out scores and losses."""
    if isinstance(hold_out, str):
        raise ValueError(f"hold_out must be a list of models, but is the text {hold_out!r}")
    known = {*observations.models["model"], *pairs(observations.scores)}
    if unknown := [h for h in hold_out if h not in known]:
        raise ValueError(f"cannot hold out {unknown}: the observations have no such model or score")
    held = {k: hidden(getattr(observations, k), hold_out) for k in ("scores", "losses")}
    if held["scores"].all() and held["losses"].all():  # also if there are none
        raise ValueError("there are no scores and no losses to fit: hold out fewer, or add some")
    return held
