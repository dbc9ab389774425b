"""Reference: centring and scaling constants of inputs, losses, abilities and covariates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np
import pandas as pd

from scalebayes.model.covariates import centre_and_scale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.data.covariates import Covariate
    from scalebayes.data.observations import Observations

Array: TypeAlias = Any
"""A NumPy array outside a compiled program, a traced array inside."""

BELOW_CHANCE = 0.025
"""A lowest score further below the chance level than this tells that the floor is not the chance level.

Metrics such as length-normalised accuracy are not the one that the chance level is of.
"""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Reference:
    """Centring constants, fixed when a fit is made and saved with it.

    Attributes:
        log_n0: log of the reference size N0.
        log_d0: log of the reference token count D0.
        log_d_sd: Standard deviation of log D over models with known tokens: the prior sd of unknown ones.
        typical: Median score of each benchmark as a share of the range above its chance level, clipped to
            [0.05, 0.95], shape (benchmark,). There, an ability is a logit for every link.
        log_loss0: Median log loss of each domain, shape (domain,).
        per_decade: Decrease of log loss per decade of FLOPs in the observed losses, by least squares, shape
            (domain,). It converts losses to decades.
        middle: Median of log N, log D and log FLOPs over the models with an observed score or loss, shape (3,).
        floor: Level near which the floor of each benchmark lies, NaN where unknown, shape (benchmark,): the chance
            level, or `BELOW_CHANCE` above the lowest observed score where this is still lower.
        covariate_centre: Centre of each column of the covariates: the mean of a number over these models, zero for a
            level, shape (covariate_level,).
        covariate_scale: Scale of each column: the standard deviation of a number, one for a level.
    """

    log_n0: float
    log_d0: float
    log_d_sd: float
    typical: Array
    log_loss0: Array
    per_decade: Array
    middle: Array
    floor: Array = field(default_factory=lambda: np.zeros(0))
    covariate_centre: Array = field(default_factory=lambda: np.zeros(0))
    covariate_scale: Array = field(default_factory=lambda: np.ones(0))

    @classmethod
    def of(
        cls,
        observations: Observations,
        seen: np.ndarray,
        losses_seen: np.ndarray,
        covariates: Sequence[Covariate] = (),
    ) -> Reference:
        """Compute the constants; 1e12 tokens and a broad spread where no token count is known.

        Args:
            observations: Validated tables.
            seen: Mask of the observed scores, shape (score_obs,).
            losses_seen: Mask of the observed losses, shape (loss_obs,).
            covariates: The covariates that the law uses.
        """
        models, scores = observations.models, observations.scores
        log_d = np.log(models["tokens"].dropna().to_numpy(float))
        room = (scores["score"] - scores["chance"].fillna(0)) / (1 - scores["chance"].fillna(0))
        typical = room[seen].groupby(scores["benchmark"][seen]).median()
        losses = observations.losses[losses_seen]
        loss0 = losses["loss"].groupby(losses["domain"]).median()
        shown = models["model"].isin({*scores["model"][seen], *losses["model"]})
        inputs = np.log(models.loc[shown, ["params", "tokens", "flops"]].dropna().to_numpy(float))
        centre, scale = centre_and_scale(covariates, models[shown])
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
            floor=_floors(scores, seen, observations.benchmarks),
            covariate_centre=centre,
            covariate_scale=scale,
        )

    def to_dict(self) -> dict[str, Any]:
        """The constants as JSON-ready values; `from_dict` is the inverse."""
        return {k: np.asarray(v).tolist() for k, v in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Reference:
        """Rebuild the constants from the result of `to_dict`."""
        arrays: dict[str, Any] = {
            k: np.array(v) if isinstance(v, list) else v for k, v in values.items()
        }
        arrays.setdefault("per_decade", np.zeros(0))  # absent from files of older versions
        return cls(**arrays)


def _floors(scores: pd.DataFrame, seen: np.ndarray, benchmarks: Sequence[str]) -> np.ndarray:
    """Chance levels, lowered where the lowest observed scores are clearly below them."""
    chance = scores.groupby("benchmark")["chance"].first()
    lowest = scores[seen].groupby("benchmark")["score"].min() + BELOW_CHANCE
    lower = lowest.reindex(chance.index) < chance
    return chance.mask(lower, lowest).reindex(list(benchmarks)).to_numpy(float)


def _per_decade(losses: pd.DataFrame, models: pd.DataFrame, domains: Sequence[str]) -> np.ndarray:
    """Minus the slope of log loss on log10 FLOPs by domain; 0.15 where it cannot be estimated or is not positive."""
    flops = np.log10(losses["model"].map(models.set_index("model")["flops"]).astype(float))
    table = pd.DataFrame({"domain": losses["domain"], "x": flops, "y": np.log(losses["loss"])})
    found = {}
    for domain, own in table.dropna().groupby("domain"):
        spread = own["x"].var()
        slope = -own["x"].cov(own["y"]) / spread if len(own) > 1 and spread > 1e-6 else np.nan
        found[domain] = slope if slope > 0 else np.nan
    slopes = np.array([found.get(d, np.nan) for d in domains], float)
    return np.clip(np.nan_to_num(slopes, nan=0.15), 0.02, 1.0)
