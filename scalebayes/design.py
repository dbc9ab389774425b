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
        members: Models of each family, shape (family, most), filled up with the number of models.
        score_model: Position of each score's model, shape (score_obs,).
        score_benchmark: Position of each score's benchmark, shape (score_obs,).
        cell: Position of each score in the (model, benchmark) grid, row by row, shape (score_obs,).
        cell_score: Score of each cell of that grid, shape (cell, 1); the number of scores where none.
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
    members: Array
    lineage: Array
    chance: Array
    score_model: Array
    score_benchmark: Array
    cell: Array
    cell_score: Array
    score: Array
    n_items: Array
    observed: Array
    centre: Array
    level: Array
    reference: Reference = field(metadata={"static": True})
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
    family = position(models["family"], families)
    score_model = position(scores["model"], names)
    score_benchmark = position(scores["benchmark"], benchmarks)
    cell = score_model * len(benchmarks) + score_benchmark
    design = Design(
        log_params=np.log(models["params"].to_numpy(float)),
        log_tokens=np.where(np.isnan(log_tokens), reference.log_d0, log_tokens),
        unknown_tokens=unknown,
        family=family,
        members=_users(family, len(families)),
        lineage=position([lineage_of[f] for f in families], lineages),
        chance=chance.reindex(list(benchmarks)).to_numpy(float),
        score_model=score_model,
        score_benchmark=score_benchmark,
        cell=cell,
        cell_score=_users(cell, len(names) * len(benchmarks)),
        score=scores["score"].to_numpy(float),
        n_items=scores["n_items"].fillna(np.inf).to_numpy(float),
        observed=np.ones(len(scores), bool),
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
    return design.observing(design.observed)


def _users(index: np.ndarray, n: int) -> np.ndarray:
    """For each of n values the positions in `index` that name it, filled up with len(index)."""
    count = np.bincount(index, minlength=n)
    users = np.full((n, max(count.max(initial=0), 1)), len(index))
    order = np.argsort(index, kind="stable")
    nth = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)
    users[index[order], nth] = order
    return users
