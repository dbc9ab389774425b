"""Fit: a law, what it saw and the posterior, as one value that can be saved and loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from arviz_base import from_dict

from scalebayes.data.folds import Hidden, hidden
from scalebayes.data.observations import Observations
from scalebayes.data.schema import COLUMNS, identity_columns
from scalebayes.inference import diagnostics
from scalebayes.laws import LAWS
from scalebayes.model import design as designs
from scalebayes.model.design import Design, Reference
from scalebayes.model.law import from_specification, specification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalebayes.model.law import Law

SCHEMA = 2
"""Version of the file format; `load` refuses a newer one. Files of 1 have no mixtures."""


@dataclass(frozen=True)
class Fit:
    """A fitted law.

    Attributes:
        law: The law with its choices and priors.
        observations: All tables that were given to `fit`, held-out scores included.
        held_out: Models whose scores and losses, and single scores, which the law has not seen.
        tree: xarray DataTree in ArviZ's schema: posterior, log_likelihood, log_prior, sample_stats,
            observed_data, constant_data. The log likelihood of a score is given the model's other
            scores, which is what leave-one-out needs; its sum is not the joint log likelihood.
        reference: Where inputs and abilities are measured from.
        provenance: Settings (seed and all), versions and seconds.
    """

    law: Law
    observations: Observations
    held_out: tuple[Hidden, ...]
    tree: xr.DataTree = field(repr=False)
    reference: Reference = field(repr=False)
    provenance: dict[str, Any] = field(repr=False)

    @cached_property
    def seen(self) -> np.ndarray:
        """Which of the observations' scores the law has seen, shape (score_obs,)."""
        return ~hidden(self.observations.scores, self.held_out)

    @cached_property
    def losses_seen(self) -> np.ndarray:
        """Which of the observations' losses the law has seen, shape (loss_obs,)."""
        return ~hidden(self.observations.losses, self.held_out)

    @cached_property
    def design(self) -> Design:
        """The arrays that the law saw."""
        return designs.build(
            self.observations, self.seen, losses_seen=self.losses_seen, reference=self.reference
        )

    @cached_property
    def verdict(self) -> diagnostics.Verdict:
        """Whether the draws can be believed, and what to do if not."""
        return diagnostics.check(self.tree, self.provenance["settings"]["max_tree_depth"])

    @cached_property
    def seen_models(self) -> pd.DataFrame:
        """Models of which the law has seen a score or a loss."""
        own = self.observations
        seen = {*own.scores["model"][self.seen], *own.losses["model"][self.losses_seen]}
        return own.models[own.models["model"].isin(seen)]

    @cached_property
    def seen_scores(self) -> pd.DataFrame:
        """Scores that the law has seen, in the order of the table, with what is known of their models."""
        return described(self.observations)[self.seen]

    @cached_property
    def known_families(self) -> frozenset[str]:
        """Families of these models."""
        return frozenset(self.seen_models["family"])

    def complete(self, observations: Observations) -> Observations:
        """Other observations with what they leave out and the fit knows.

        Chance levels and item counts of benchmarks, and lineages of families, are those of the fit.

        Raises:
            ValueError: If a benchmark, domain or source is not in the fit.
        """
        for kind, found in (
            ("benchmark", observations.benchmarks),
            ("domain", observations.domains),
            ("source", observations.sources),
        ):
            known = self.design.labels(kind)
            if unknown := [name for name in found if name not in known]:
                raise ValueError(
                    f"the fit has no {kind} {unknown}, it has {list(known)}: leave the others out, "
                    "or fit again with them"
                )
        own = self.observations
        facts = own.scores.groupby("benchmark")[["n_items", "chance"]].first()
        lineage = own.models.drop_duplicates("family").set_index("family")["lineage"]
        models, scores = observations.models, observations.scores
        filled = {
            column: scores[column].fillna(scores["benchmark"].map(facts[column]))
            for column in ("n_items", "chance")
        }
        lineages = models["family"].map(lineage).fillna(models["lineage"])
        return Observations(
            models.assign(lineage=lineages),
            scores.assign(**filled),
            observations.losses,
            observations.mixtures,
        )

    def design_of(
        self,
        observations: Observations,
        seen: np.ndarray | None = None,
        losses_seen: np.ndarray | None = None,
    ) -> Design:
        """The arrays of other, complete observations, on the labels of the fit."""
        design = designs.build(
            observations,
            seen,
            losses_seen=losses_seen,
            reference=self.reference,
            benchmarks=self.design.labels("benchmark"),
            domains=self.design.labels("domain"),
            sources=self.design.labels("source"),
        )
        return replace(design, chance=self.design.chance)

    def labels(self, dim: str) -> list[str]:
        """Labels along a dimension of the posterior."""
        return [str(label) for label in self.tree["posterior"].coords[dim].values]

    def draws(self) -> dict[str, np.ndarray]:
        """Posterior draws of each sampled site, chains joined: shape (sample, ...)."""
        posterior = self.tree["posterior"].to_dataset()
        return {
            str(name): v.to_numpy().reshape(-1, *v.shape[2:])
            for name, v in posterior.data_vars.items()
            if name in self.tree["log_prior"]
        }

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file.

        Args:
            path: Where to; the file is complete or not there at all.
        """
        path = Path(path)
        about = {
            "schema": SCHEMA,
            "law": specification(self.law),
            "held_out": list(self.held_out),
            "reference": self.reference.to_dict(),
            "provenance": self.provenance,
        }
        tables = {kind: getattr(self.observations, kind).to_csv(index=False) for kind in COLUMNS}
        groups = {name: node.to_dataset() for name, node in self.tree.children.items()}
        groups["scalebayes"] = xr.Dataset(
            {k: ((), v) for k, v in {"about": json.dumps(about), **tables}.items()}
        )
        partial = path.with_name(path.name + ".partial")
        xr.DataTree.from_dict(groups).to_netcdf(partial, engine="h5netcdf")
        partial.replace(path)
        return path


@dataclass(frozen=True)
class Average:
    """Fits of several laws to one table, whose predictions are mixed.

    `predict`, `predictive_draws`, `held_out`, `trajectory` and the planning functions take it in place of a
    fit: each law gives its share of the draws.

    Attributes:
        fits: The fit of each law to all scores that may be seen.
        weights: Share of each law, summing to one.
        evidence: One row a size held out: params, n_scores, and a column a law with the log of its joint
            predictive density of them; none where the weights came from elsewhere.
    """

    fits: dict[str, Fit]
    weights: dict[str, float]
    evidence: pd.DataFrame | None = field(default=None, repr=False)

    @property
    def known_families(self) -> frozenset[str]:
        """Families of which the laws have seen a score or a loss."""
        return next(iter(self.fits.values())).known_families

    @property
    def seen_models(self) -> pd.DataFrame:
        """Models of which the laws have seen a score or a loss."""
        return next(iter(self.fits.values())).seen_models


def described(observations: Observations) -> pd.DataFrame:
    """Scores, in the order of the table, each with what identifies its model."""
    scores = observations.scores[["model", "benchmark", "score"]]
    return scores.merge(observations.models[identity_columns(observations.covariates)])


def parts(fit: Fit | Average) -> list[tuple[Fit, float]]:
    """A fit, or those of an average, each with its weight."""
    if isinstance(fit, Average):
        return [(part, fit.weights[name]) for name, part in fit.fits.items()]
    return [(fit, 1.0)]


def evenly(n: int, k: int) -> np.ndarray:
    """Positions of k of n draws, evenly spread, shape (k,)."""
    return np.linspace(0, n - 1, k).round().astype(int)


def thinned(fit: Fit, draws: int) -> Fit:
    """A fit with at most so many of its draws in all chains together, evenly spaced in each."""
    sizes = fit.tree["posterior"].sizes
    rows = evenly(sizes["draw"], min(-(-draws // sizes["chain"]), sizes["draw"]))
    groups = {
        name: node.to_dataset().isel(draw=rows, missing_dims="ignore")
        for name, node in fit.tree.children.items()
    }
    return replace(fit, tree=xr.DataTree.from_dict(groups))


def shares(weights: Mapping[str, float], n_draws: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Which draws each law gives to an average: its share of the number that the first law has.

    Args:
        weights: Share of each law, summing to one.
        n_draws: How many draws there are of each.
    """
    total = next(iter(n_draws.values()))
    ends = np.round(np.cumsum([0.0, *(weights[name] for name in n_draws)]) * total).astype(int)
    return {name: evenly(n, k) for (name, n), k in zip(n_draws.items(), np.diff(ends), strict=True)}


def load(path: str | Path) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, is not a fit, or was written by a newer version.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
        own = {k: str(v.item()) for k, v in tree["scalebayes"].data_vars.items()}
        about = json.loads(own["about"])
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} is not a complete fit: it is truncated or was not written by scalebayes; "
            "fit again, or copy the file again from where it came"
        ) from error
    if about["schema"] > SCHEMA:
        raise ValueError(
            f"{path} has schema {about['schema']}, written by a newer scalebayes; this version reads "
            f"up to {SCHEMA}: upgrade scalebayes"
        )

    def table(kind: str) -> pd.DataFrame:
        # an empty cell of a text column never occurs: keys may be called "NA"
        return pd.read_csv(StringIO(own[kind]), keep_default_na=False, na_values=[""])

    return Fit(
        law=from_specification(about["law"], LAWS),
        observations=Observations(
            **{kind: table(kind) for kind in COLUMNS if kind in own}, covariates=()
        ),
        held_out=tuple(h if isinstance(h, str) else tuple(h) for h in about["held_out"]),
        tree=xr.DataTree.from_dict(
            {k: v.to_dataset() for k, v in tree.children.items() if k != "scalebayes"}
        ),
        reference=Reference.from_dict(about["reference"]),
        provenance=about["provenance"],
    )


def make_tree(
    law: Law,
    design: Design,
    sites: Mapping[str, Mapping[str, np.ndarray]],
    stats: Mapping[str, np.ndarray],
) -> xr.DataTree:
    """Arrays of a fit as a DataTree in ArviZ's schema.

    Args:
        law: The law, for its dims and labels.
        design: The data, for their labels.
        sites: posterior, log_likelihood and log_prior, each a dict of arrays (chain, draw, ...).
        stats: Sampler statistics, each (chain, draw).
    """
    seen = {"score": np.asarray(design.observed), "loss": np.asarray(design.loss_observed)}

    def names(dim: str, position: Any, what: str) -> np.ndarray:
        return np.array(design.labels(dim), object)[np.asarray(position)[seen[what]]].astype(str)

    models = names("model", design.score_model, "score")
    benchmarks = names("benchmark", design.score_benchmark, "score")
    coords = {dim: list(labels) for dim, labels in design.coords} | law.coords()
    coords["quantity"] = ["params", "tokens"]
    coords["score_obs"] = [f"{m} / {b}" for m, b in zip(models, benchmarks, strict=True)]
    of_losses = {}
    if "loss" in sites["log_likelihood"]:
        of_losses = {
            "loss_model": names("model", design.loss_model, "loss"),
            "loss_domain": names("domain", design.loss_domain, "loss"),
        }
        coords["loss_obs"] = [f"{m} / {d}" for m, d in zip(*of_losses.values(), strict=True)]
    values = {"score": design.score, "loss": np.exp(np.asarray(design.log_loss))}
    n_steps = np.asarray(stats["n_steps"])
    tree = from_dict(
        {
            "posterior": dict(sites["posterior"]),
            "log_likelihood": {k: v[..., seen[k]] for k, v in sites["log_likelihood"].items()},
            "sample_stats": {**stats, "tree_depth": np.floor(np.log2(n_steps)).astype(int) + 1},
            "observed_data": {k: np.asarray(values[k])[seen[k]] for k in sites["log_likelihood"]},
            "constant_data": {
                "score_model": models,
                "score_benchmark": benchmarks,
                **of_losses,
                "n_items": np.asarray(design.n_items)[seen["score"]],
                "log_params": np.asarray(design.log_params),
                "log_tokens": np.asarray(design.log_tokens),
                "family_of_model": np.array(
                    [design.labels("family")[i] for i in np.asarray(design.family)]
                ),
                "centre": np.asarray(design.centre),
            },
        },
        coords={k: v for k, v in coords.items() if v},
        dims={
            **{k: list(v) for k, v in law.dims.items()},
            "score_model": ["score_obs"],
            "score_benchmark": ["score_obs"],
            "loss_model": ["loss_obs"],
            "loss_domain": ["loss_obs"],
            "n_items": ["score_obs"],
            "log_params": ["model"],
            "log_tokens": ["model"],
            "family_of_model": ["model"],
            "centre": ["family", "quantity"],
        },
    )
    tree["log_prior"] = from_dict({"log_prior": dict(sites["log_prior"])})["log_prior"]
    return tree
