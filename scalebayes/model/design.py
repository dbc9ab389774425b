"""Design: observations as index arrays and constants, the only input of a law."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import jax
import numpy as np

from scalebayes.data.compute import FLOPS_PER_PARAM_TOKEN
from scalebayes.model.covariates import coded, labels, owners
from scalebayes.model.reference import Array, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.data.covariates import Covariate
    from scalebayes.data.observations import Observations


LOCAL_DIMS = ("family", "lineage", "run", "model", "model_without_tokens")
"""Dimensions of local effects, whose number grows with the data. A site has at most one, its first."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Design:
    """Arrays of one data set. Data are leaves; labels and constants are static.

    Attributes:
        log_params: log N, shape (model,).
        log_tokens: log D, shape (model,); an arbitrary value where it is unknown.
        unknown_tokens: Indices of the models whose token count is unknown, shape (model_without_tokens,).
        log_per_nd: log of training FLOPs per parameter and token, log 6 where FLOPs are missing, shape (model,).
        run: Index of each model's run, shape (model,).
        final: Whether a model is the last of its run: no other checkpoint has more tokens, shape (model,).
        family: Index of each model's family, shape (model,).
        lineage: Index of each family's lineage, shape (family,).
        chance: Chance level, shape (benchmark,); NaN where it is unknown.
        score_model: Index of each score's model, shape (score_obs,).
        score_benchmark: Index of each score's benchmark, shape (score_obs,).
        score: Scores in [0, 1], shape (score_obs,).
        n_items: Items behind each score, shape (score_obs,); infinity where unknown.
        loss_model: Index of each loss's model, shape (loss_obs,).
        loss_domain: Index of each loss's domain, shape (loss_obs,).
        mixture: Share of each model's tokens from each source, shape (model, source); NaN for a model whose mixture
            is unknown.
        log_loss: Logs of the losses, shape (loss_obs,).
        loss_observed: Mask of the losses that the law is fitted to, shape (loss_obs,).
        observed: Mask of the scores that the law is fitted to, shape (score_obs,). The others keep their rows, so that
            fits to different subsets share a compiled program.
        centre: Mean of (log N, log D) over the observed scores of each family, shape (family, 2).
        level: Mean observed score of each family, shape (family, benchmark); NaN where there is none. Centre and
            level set the origin of family intercepts. The law does not depend on them, but NUTS mixes better
            when the origin is near the data.
        covariates: Values of the covariates that the law uses, centred and scaled, shape (model, covariate_level).
        covariate_of: Index of each column's covariate, shape (covariate_level,).
        covariate_centre: Mean covariates over the observed scores of each family, shape (family, covariate_level);
            an origin like `centre`.
        reference: Centring constants.
        coords: Labels as ((dim, labels), ...).
    """

    log_params: Array
    log_tokens: Array
    unknown_tokens: Array
    log_per_nd: Array
    run: Array
    final: Array
    family: Array
    lineage: Array
    chance: Array
    score_model: Array
    score_benchmark: Array
    score: Array
    n_items: Array
    loss_model: Array
    loss_domain: Array
    log_loss: Array
    mixture: Array
    loss_observed: Array
    observed: Array
    centre: Array
    level: Array
    covariates: Array
    covariate_of: Array
    covariate_centre: Array
    reference: Reference
    coords: tuple[tuple[str, tuple[str, ...]], ...] = field(metadata={"static": True})

    def labels(self, dim: str) -> tuple[str, ...]:
        """Labels along a dimension."""
        return dict(self.coords)[dim]

    def unnamed(self) -> Design:
        """Return the design with numbers for the names of models, runs, families and lineages.

        Programs are compiled for it, so that tables of one shape share them.
        """
        numbered = {dim: tuple(map(str, range(len(self.labels(dim))))) for dim in LOCAL_DIMS}
        return replace(self, coords=tuple((d, numbered.get(d, names)) for d, names in self.coords))

    def observing(self, observed: np.ndarray) -> Design:
        """Return the design with another mask of observed scores, shape (score_obs,)."""
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
        columns = np.asarray(design.covariates)[model].T
        covariate_centre = (
            np.stack([np.nan_to_num(mean(family, n_family, own)) for own in columns], axis=-1)
            if len(columns)
            else np.zeros((n_family, 0))
        )
        cell = family * n_benchmark + benchmark
        level = mean(cell, n_family * n_benchmark, np.asarray(design.score)[design.observed])
        return replace(
            design,
            centre=centre,
            level=level.reshape(n_family, n_benchmark),
            covariate_centre=covariate_centre,
        )


def build(
    observations: Observations,
    seen: np.ndarray | None = None,
    *,
    losses_seen: np.ndarray | None = None,
    reference: Reference | None = None,
    benchmarks: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    covariates: Sequence[Covariate] = (),
) -> Design:
    """Build the design of observations.

    Args:
        observations: Validated tables.
        seen: Mask of the scores that the law is fitted to, shape (score_obs,); by default all.
        losses_seen: Mask of the losses that the law is fitted to, shape (loss_obs,); by default all.
        reference: Centring constants, such as those of an earlier fit; by default computed from these observations.
        benchmarks: Labels of the benchmarks, in order; by default those of the observations.
        domains: Labels of the domains, likewise.
        sources: Labels of the sources, likewise.
        covariates: The covariates that the law uses.
    """
    models, scores, losses = observations.models, observations.scores, observations.losses
    seen = np.ones(len(scores), bool) if seen is None else seen
    losses_seen = np.ones(len(losses), bool) if losses_seen is None else losses_seen
    reference = reference or Reference.of(observations, seen, losses_seen, covariates)
    benchmarks = tuple(benchmarks or observations.benchmarks)
    domains = tuple(domains or observations.domains)
    sources = tuple(sources or observations.sources)
    families = tuple(dict.fromkeys(models["family"]))
    lineage_of: Mapping[str, str] = dict(zip(models["family"], models["lineage"], strict=True))
    lineages = tuple(dict.fromkeys(lineage_of[f] for f in families))
    names, runs = tuple(models["model"]), tuple(dict.fromkeys(models["run"]))

    def position(values, labels) -> np.ndarray:  # type: ignore[no-untyped-def]
        where = {label: i for i, label in enumerate(labels)}
        return np.array([where[v] for v in values], int)

    log_tokens = np.log(models["tokens"].to_numpy(float))
    unknown = np.flatnonzero(np.isnan(log_tokens))
    level = scores.drop_duplicates("benchmark").set_index("benchmark")["chance"]
    chance = level.reindex(list(benchmarks)).to_numpy(float)
    log_params = np.log(models["params"].to_numpy(float))
    log_per_nd = np.log(models["flops"].to_numpy(float)) - log_params - log_tokens
    shares = observations.mixtures
    mixture = np.full((len(names), len(sources)), np.nan)
    mixture[position(shares["model"].unique(), names)] = 0.0
    at = position(shares["model"], names), position(shares["source"], sources)
    mixture[at] = shares["weight"]
    longest = models.groupby("run")["tokens"].transform("max")
    if not len(reference.floor):  # of a file of an older version
        reference = replace(reference, floor=chance)
    design = Design(
        log_params=log_params,
        log_tokens=np.where(np.isnan(log_tokens), reference.log_d0, log_tokens),
        unknown_tokens=unknown,
        log_per_nd=np.where(np.isnan(log_per_nd), np.log(FLOPS_PER_PARAM_TOKEN), log_per_nd),
        run=position(models["run"], runs),
        final=(models["tokens"].isna() | (models["tokens"] == longest)).to_numpy(),
        family=position(models["family"], families),
        lineage=position([lineage_of[f] for f in families], lineages),
        chance=chance,
        score_model=position(scores["model"], names),
        score_benchmark=position(scores["benchmark"], benchmarks),
        score=scores["score"].to_numpy(float),
        n_items=scores["n_items"].fillna(np.inf).to_numpy(float),
        loss_model=position(losses["model"], names),
        loss_domain=position(losses["domain"], domains),
        log_loss=np.log(losses["loss"].to_numpy(float)),
        mixture=mixture,
        loss_observed=losses_seen,
        observed=seen,
        centre=np.empty((0, 2)),
        level=np.empty((0, 0)),
        covariates=(coded(covariates, models) - reference.covariate_centre)
        / reference.covariate_scale,
        covariate_of=owners(covariates),
        covariate_centre=np.empty((0, 0)),
        reference=reference,
        coords=(
            ("model", names),
            ("run", runs),
            ("family", families),
            ("lineage", lineages),
            ("benchmark", benchmarks),
            ("domain", domains),
            ("source", sources),
            ("model_without_tokens", tuple(names[i] for i in unknown)),
            ("input", ("size", "tokens", "size_x_tokens")),
            ("covariate", tuple(c.name for c in covariates)),
            ("covariate_level", labels(covariates)),
        ),
    )
    return design.observing(seen)
