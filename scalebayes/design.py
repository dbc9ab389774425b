"""Design: observations as index arrays and constants, which is all that a law sees of the data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import jax
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jax import Array

    from scalebayes.observations import Observations


@dataclass(frozen=True)
class Reference:
    """Centring constants, fixed when a design is first built and kept with the fit.

    Attributes:
        log_n0: log of the reference size N0.
        log_d0: log of the reference token count D0.
        log_d_sd: Spread of log D over the models whose tokens are known; the prior of those whose tokens are not.
    """

    log_n0: float
    log_d0: float
    log_d_sd: float

    @classmethod
    def of(cls, observations: Observations) -> Reference:
        """Medians of log N and log D; 1e12 tokens and a broad spread where no token count is known."""
        log_d = np.log(observations.models["tokens"].dropna().to_numpy(float))
        return cls(
            log_n0=float(np.median(np.log(observations.models["params"].to_numpy(float)))),
            log_d0=float(np.median(log_d)) if log_d.size else float(np.log(1e12)),
            log_d_sd=float(max(np.std(log_d), 0.5)) if log_d.size > 1 else 1.5,
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Design:
    """Arrays of one data set. Data are leaves; labels and constants are static.

    Attributes:
        log_params: log N, shape (model,).
        log_tokens: log D, shape (model,), any number where it is not known.
        unknown_tokens: Positions of the models whose token count is not known, shape (model_without_tokens,).
        family: Position of each model's family, shape (model,).
        lineage: Position of each family's lineage, shape (family,).
        chance: Chance level, shape (benchmark,); NaN where it is not known.
        score_model: Position of each score's model, shape (score_obs,).
        score_benchmark: Position of each score's benchmark, shape (score_obs,).
        score: Scores in [0, 1], shape (score_obs,).
        n_items: Items behind each score, shape (score_obs,); infinity where not known.
        observed: Which scores the law may see, shape (score_obs,). The others keep their place, so that a fit to
            another subset runs the same compiled program.
        centre: Mean of (log N, log D) over the observed scores of each family, shape (family, 2). A constant that
            only moves where family intercepts are measured; NUTS is faster when that is in the midst of the data.
        reference: Centring constants.
        coords: Labels as ((dim, labels), ...).
    """

    log_params: Array
    log_tokens: Array
    unknown_tokens: Array
    family: Array
    lineage: Array
    chance: Array
    score_model: Array
    score_benchmark: Array
    score: Array
    n_items: Array
    observed: Array
    centre: Array
    reference: Reference = field(metadata={"static": True})
    coords: tuple[tuple[str, tuple[str, ...]], ...] = field(metadata={"static": True})

    def labels(self, dim: str) -> tuple[str, ...]:
        """Labels along a dimension."""
        return dict(self.coords)[dim]

    def observing(self, observed: np.ndarray) -> Design:
        """The same design with another choice of scores that the law may see, shape (score_obs,)."""
        observed = np.asarray(observed, bool)
        centre = _centres(
            np.asarray(self.log_params), np.asarray(self.log_tokens), np.asarray(self.family),
            np.asarray(self.score_model)[observed], len(self.labels("family")), self.reference,
        )  # fmt: skip
        return replace(self, observed=observed, centre=centre)


def _centres(log_params, log_tokens, family, seen, n_family, reference) -> np.ndarray:  # type: ignore[no-untyped-def]
    weight = np.bincount(family[seen], minlength=n_family)
    default = (reference.log_n0, reference.log_d0)
    return np.stack(
        [
            np.where(
                weight > 0,
                np.bincount(family[seen], v[seen], minlength=n_family) / np.maximum(weight, 1),
                c,
            )
            for v, c in zip((log_params, log_tokens), default, strict=True)
        ],
        axis=-1,
    )


def build(
    observations: Observations,
    reference: Reference | None = None,
    benchmarks: Sequence[str] | None = None,
) -> Design:
    """Turn observations into arrays.

    Args:
        observations: Validated tables.
        reference: Centring constants of an earlier fit; by default those of these observations.
        benchmarks: Labels and order of the benchmarks, where they are not those of the observations.

    Returns:
        A design in which all scores are observed.
    """
    reference = reference or Reference.of(observations)
    models, scores = observations.models, observations.scores
    benchmarks = tuple(benchmarks or observations.benchmarks)
    families = tuple(dict.fromkeys(models["family"]))
    lineage_of: Mapping[str, str] = dict(zip(models["family"], models["lineage"], strict=True))
    lineages = tuple(dict.fromkeys(lineage_of[f] for f in families))
    names = tuple(models["model"])

    def position(values, labels) -> np.ndarray:  # type: ignore[no-untyped-def]
        where = {label: i for i, label in enumerate(labels)}
        return np.array([where[v] for v in values], int)

    log_tokens = np.log(models["tokens"].to_numpy(float))
    unknown = np.flatnonzero(np.isnan(log_tokens))
    chance = scores.drop_duplicates("benchmark").set_index("benchmark")["chance"]
    log_params = np.log(models["params"].to_numpy(float))
    log_tokens = np.where(np.isnan(log_tokens), reference.log_d0, log_tokens)
    family = position(models["family"], families)
    score_model = position(scores["model"], names)
    return Design(
        log_params=log_params,
        log_tokens=log_tokens,
        unknown_tokens=unknown,
        family=family,
        lineage=position([lineage_of[f] for f in families], lineages),
        chance=chance.reindex(list(benchmarks)).to_numpy(float),
        score_model=score_model,
        score_benchmark=position(scores["benchmark"], benchmarks),
        score=scores["score"].to_numpy(float),
        n_items=scores["n_items"].fillna(np.inf).to_numpy(float),
        observed=np.ones(len(scores), bool),
        centre=_centres(log_params, log_tokens, family, score_model, len(families), reference),
        reference=reference,
        coords=(
            ("model", names),
            ("family", families),
            ("lineage", lineages),
            ("benchmark", benchmarks),
            ("model_without_tokens", tuple(names[i] for i in unknown)),
            ("input", ("size", "tokens", "size_x_tokens")),
        ),
    )
