"""Design: observations as index arrays and constants, which is all that a law sees of the data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np
import pandas as pd

from scalebayes.data.compute import FLOPS_PER_PARAM_TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.data.observations import Observations

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
        log_loss0: Median log loss of each domain, shape (domain,).
        per_decade: By how much log loss falls with ten times the FLOPs in the losses that may be seen,
            roughly, shape (domain,): a loss counts as so many decades.
        middle: Median of log N, log D and log FLOPs over the models of which a score or loss may be
            seen, shape (3,).
    """

    log_n0: float
    log_d0: float
    log_d_sd: float
    typical: Array
    log_loss0: Array
    per_decade: Array
    middle: Array

    @classmethod
    def of(cls, observations: Observations, seen: np.ndarray, losses_seen: np.ndarray) -> Reference:
        """Medians; 1e12 tokens and a broad spread where no token count is known.

        Args:
            observations: Validated tables.
            seen: Which scores may be looked at, shape (score_obs,).
            losses_seen: Which losses may be, shape (loss_obs,).
        """
        models, scores = observations.models, observations.scores
        log_d = np.log(models["tokens"].dropna().to_numpy(float))
        room = (scores["score"] - scores["chance"].fillna(0)) / (1 - scores["chance"].fillna(0))
        typical = room[seen].groupby(scores["benchmark"][seen]).median()
        losses = observations.losses[losses_seen]
        loss0 = losses["loss"].groupby(losses["domain"]).median()
        shown = models["model"].isin({*scores["model"][seen], *losses["model"]})
        inputs = np.log(models.loc[shown, ["params", "tokens", "flops"]].dropna().to_numpy(float))
        if not len(inputs):
            inputs = np.log([[7e9, 1e12, 4.2e22]])
        return cls(
            log_n0=float(np.median(np.log(models["params"].to_numpy(float)))),
            log_d0=float(np.median(log_d)) if log_d.size else float(np.log(1e12)),
            log_d_sd=float(max(np.std(log_d), 0.5)) if log_d.size > 1 else 1.5,
            typical=typical.reindex(list(observations.benchmarks))
            .fillna(0.5)
            .clip(0.05, 0.95)
            .to_numpy(),
            log_loss0=np.log(loss0.reindex(list(observations.domains)).fillna(1.0).to_numpy(float)),
            per_decade=_per_decade(losses, models, observations.domains),
            middle=np.median(inputs, axis=0),
        )

    def to_dict(self) -> dict[str, Any]:
        """The constants as JSON-ready values; `from_dict` is the inverse."""
        return {k: np.asarray(v).tolist() for k, v in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Reference:
        """What `to_dict` gave."""
        arrays: dict[str, Any] = {
            k: np.array(v) if isinstance(v, list) else v for k, v in values.items()
        }
        arrays.setdefault("per_decade", np.zeros(0))  # of a version without it
        return cls(**arrays)


def _per_decade(losses: pd.DataFrame, models: pd.DataFrame, domains: Sequence[str]) -> np.ndarray:
    """Slope of log loss on log10 FLOPs by domain, taken positive; 0.15 where there is none to see."""
    flops = np.log10(losses["model"].map(models.set_index("model")["flops"]).astype(float))
    table = pd.DataFrame({"domain": losses["domain"], "x": flops, "y": np.log(losses["loss"])})
    found = {}
    for domain, own in table.dropna().groupby("domain"):
        spread = own["x"].var()
        slope = -own["x"].cov(own["y"]) / spread if len(own) > 1 and spread > 1e-6 else np.nan
        found[domain] = slope if slope > 0 else np.nan
    slopes = np.array([found.get(d, np.nan) for d in domains], float)
    return np.clip(np.nan_to_num(slopes, nan=0.15), 0.02, 1.0)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Design:
    """Arrays of one data set. Data are leaves; labels and constants are static.

    Attributes:
        log_params: log N, shape (model,).
        log_tokens: log D, shape (model,), any number where it is not known.
        unknown_tokens: Positions of the models whose token count is not known, shape (model_without_tokens,).
        log_per_nd: log of training FLOPs per parameter and token, log 6 where no FLOPs were given, shape (model,).
        run: Position of each model's run, shape (model,).
        final: Whether a model is the last of its run: no other checkpoint has more tokens, shape (model,).
        family: Position of each model's family, shape (model,).
        lineage: Position of each family's lineage, shape (family,).
        chance: Chance level, shape (benchmark,); NaN where it is not known.
        score_model: Position of each score's model, shape (score_obs,).
        score_benchmark: Position of each score's benchmark, shape (score_obs,).
        score: Scores in [0, 1], shape (score_obs,).
        n_items: Items behind each score, shape (score_obs,); infinity where not known.
        loss_model: Position of each loss's model, shape (loss_obs,).
        loss_domain: Position of each loss's domain, shape (loss_obs,).
        mixture: Share of each model's tokens that came from each source, shape (model, source); NaN throughout for
            a model whose mixture is not known.
        log_loss: Logs of the losses, shape (loss_obs,).
        loss_observed: Which losses the law may see, shape (loss_obs,).
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
    losses_seen: np.ndarray | None = None,
    reference: Reference | None = None,
    benchmarks: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
) -> Design:
    """Turn observations into arrays.

    Args:
        observations: Validated tables.
        seen: Which scores the law may see, shape (score_obs,); by default all.
        losses_seen: Which losses the law may see, shape (loss_obs,); by default all.
        reference: That of an earlier fit; by default that of these observations.
        benchmarks: Labels and order of the benchmarks, where they are not those of the observations.
        domains: Labels and order of the domains, likewise.
        sources: Labels and order of the sources, likewise.
    """
    models, scores, losses = observations.models, observations.scores, observations.losses
    seen = np.ones(len(scores), bool) if seen is None else seen
    losses_seen = np.ones(len(losses), bool) if losses_seen is None else losses_seen
    reference = reference or Reference.of(observations, seen, losses_seen)
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
    chance = scores.drop_duplicates("benchmark").set_index("benchmark")["chance"]
    log_params = np.log(models["params"].to_numpy(float))
    log_per_nd = np.log(models["flops"].to_numpy(float)) - log_params - log_tokens
    shares = observations.mixtures
    mixture = np.full((len(names), len(sources)), np.nan)
    mixture[position(shares["model"].unique(), names)] = 0.0
    at = position(shares["model"], names), position(shares["source"], sources)
    mixture[at] = shares["weight"]
    longest = models.groupby("run")["tokens"].transform("max")
    design = Design(
        log_params=log_params,
        log_tokens=np.where(np.isnan(log_tokens), reference.log_d0, log_tokens),
        unknown_tokens=unknown,
        log_per_nd=np.where(np.isnan(log_per_nd), np.log(FLOPS_PER_PARAM_TOKEN), log_per_nd),
        run=position(models["run"], runs),
        final=(models["tokens"].isna() | (models["tokens"] == longest)).to_numpy(),
        family=position(models["family"], families),
        lineage=position([lineage_of[f] for f in families], lineages),
        chance=chance.reindex(list(benchmarks)).to_numpy(float),
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
        ),
    )
    return design.observing(seen)
