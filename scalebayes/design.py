"""Design: observations as index arrays and constants, which is all that a law sees of the data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.observations import Observations

Array: TypeAlias = Any
"""A NumPy array outside of a compiled program, a traced one inside."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Reference:
    """Where inputs and abilities are measured from: fixed when a fit is made, and kept with it.

    Attributes:
        log_n0: log of the reference size N0.
        log_d0: log of the reference token count D0.
        log_d_sd: Spread of log D over the models whose tokens are known; the prior of those whose tokens are not.
        typical: Median score of each benchmark as a share of the room above its chance level, held within (0.05,
            0.95), shape (benchmark,). An ability is a logit there, whatever the link.
    """

    log_n0: float
    log_d0: float
    log_d_sd: float
    typical: Array

    @classmethod
    def of(cls, observations: Observations, seen: np.ndarray) -> Reference:
        """Medians; 1e12 tokens and a broad spread where no token count is known.

        Args:
            observations: Validated tables.
            seen: Which scores may be looked at, shape (score_obs,).
        """
        log_d = np.log(observations.models["tokens"].dropna().to_numpy(float))
        scores = observations.scores
        room = (scores["score"] - scores["chance"].fillna(0)) / (1 - scores["chance"].fillna(0))
        typical = room[seen].groupby(scores["benchmark"][seen]).median()
        return cls(
            log_n0=float(np.median(np.log(observations.models["params"].to_numpy(float)))),
            log_d0=float(np.median(log_d)) if log_d.size else float(np.log(1e12)),
            log_d_sd=float(max(np.std(log_d), 0.5)) if log_d.size > 1 else 1.5,
            typical=typical.reindex(list(observations.benchmarks))
            .fillna(0.5)
            .clip(0.05, 0.95)
            .to_numpy(),
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
        centre: Mean of (log N, log D) over the observed scores of each family, shape (family, 2).
        level: Mean observed score of each family, shape (family, benchmark); NaN where there is none. Centre and
            level only say from where family intercepts are measured: the law is the same whatever they are, but
            NUTS mixes better when they are in the midst of the data.
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
    level: Array
    reference: Reference
    coords: tuple[tuple[str, tuple[str, ...]], ...] = field(metadata={"static": True})

    def labels(self, dim: str) -> tuple[str, ...]:
        """Labels along a dimension."""
        return dict(self.coords)[dim]

    def observing(self, observed: np.ndarray) -> Design:
        """The same design with another choice of scores that the law may see, shape (score_obs,)."""
        design = replace(self, observed=np.asarray(observed, bool))
        model = np.asarray(design.score_model)[design.observed]
        benchmark = np.asarray(design.score_benchmark)[design.observed]
        family = np.asarray(design.family)[model]
        n_family, n_benchmark = len(design.labels("family")), len(design.labels("benchmark"))

        def mean(cell: np.ndarray, n: int, values: np.ndarray) -> np.ndarray:
            count = np.bincount(cell, minlength=n)
            total = np.bincount(cell, values, minlength=n)
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

        centre = np.stack(
            [
                np.nan_to_num(mean(family, n_family, np.asarray(v)[model]), nan=default)
                for v, default in (
                    (design.log_params, design.reference.log_n0),
                    (design.log_tokens, design.reference.log_d0),
                )
            ],
            axis=-1,
        )
        cell = family * n_benchmark + benchmark
        level = mean(cell, n_family * n_benchmark, np.asarray(design.score)[design.observed])
        return replace(design, centre=centre, level=level.reshape(n_family, n_benchmark))


def build(
    observations: Observations,
    seen: np.ndarray | None = None,
    *,
    reference: Reference | None = None,
    benchmarks: Sequence[str] | None = None,
) -> Design:
    """Turn observations into arrays.

    Args:
        observations: Validated tables.
        seen: Which scores the law may see, shape (score_obs,); by default all.
        reference: That of an earlier fit; by default that of these observations.
        benchmarks: Labels and order of the benchmarks, where they are not those of the observations.
    """
    seen = np.ones(len(observations.scores), bool) if seen is None else seen
    reference = reference or Reference.of(observations, seen)
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
    design = Design(
        log_params=np.log(models["params"].to_numpy(float)),
        log_tokens=np.where(np.isnan(log_tokens), reference.log_d0, log_tokens),
        unknown_tokens=unknown,
        family=position(models["family"], families),
        lineage=position([lineage_of[f] for f in families], lineages),
        chance=chance.reindex(list(benchmarks)).to_numpy(float),
        score_model=position(scores["model"], names),
        score_benchmark=position(scores["benchmark"], benchmarks),
        score=scores["score"].to_numpy(float),
        n_items=scores["n_items"].fillna(np.inf).to_numpy(float),
        observed=seen,
        centre=np.empty((0, 2)),
        level=np.empty((0, 0)),
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
    return design.observing(seen)
