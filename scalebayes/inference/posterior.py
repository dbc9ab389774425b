"""Fit: a law, its observations and the posterior, as one value that can be saved and loaded."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.data.folds import Hidden, hidden
from scalebayes.data.observations import Observations
from scalebayes.data.schema import COLUMNS, identity_columns
from scalebayes.inference import diagnostics, files
from scalebayes.inference.draws import evenly
from scalebayes.inference.samplers import from_sampler_specification
from scalebayes.model import design as designs
from scalebayes.model.design import Design
from scalebayes.model.reference import Reference
from scalebayes.model.specification import specification

if TYPE_CHECKING:
    from scalebayes.data.covariates import Covariate
    from scalebayes.inference.sampling import Sampler
    from scalebayes.model.law import Law


class Part(NamedTuple):
    """A fit with its weight: one of an average, or a single fit.

    Attributes:
        name: Name of the law.
        fit: The fit.
        weight: Its weight; the weights of all parts sum to one.
    """

    name: str
    fit: Fit
    weight: float


class Fitted(Protocol):
    """The interface that a fit and an average of fits share, used by predictions and plans."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The fits with their weights; a single fit has one part."""

    @property
    def observations(self) -> Observations:
        """All tables that were given to `fit`, held-out scores included."""

    @property
    def seen_models(self) -> pd.DataFrame:
        """Models with a score or a loss in the fits, rows of the table of models."""

    @property
    def known_families(self) -> frozenset[str]:
        """Families of the seen models."""

    @property
    def n_draws(self) -> int:
        """Total number of posterior draws over all parts."""

    def thinned(self, draws: int) -> Fitted:
        """Return the same with at most `draws` draws of each part."""


@dataclass(frozen=True)
class Fit:
    """A fitted law.

    Attributes:
        law: The law with its choices and priors.
        observations: All tables that were given to `fit`, held-out scores included.
        held_out: Held-out models, and single scores as pairs (model, benchmark).
        tree: xarray DataTree in ArviZ's schema: posterior, log_likelihood, log_prior, sample_stats,
            observed_data, constant_data. The log likelihood of a score is conditional on the model's other
            scores, as leave-one-out needs it; the sum over scores is not the joint log likelihood.
        reference: Centring constants of inputs and abilities.
        provenance: Seed, specification of the sampler, versions and seconds.
        judged: The verdict where it is known, of all draws for a thinned copy; None if it is still to be computed.

    Example:
        >>> fit.law.skills, fit.held_out, fit.n_draws
        (2, ('f0-3', 'f1-3'), 500)
        >>> fit.tree["posterior"]["lam"].dims
        ('chain', 'draw', 'benchmark', 'skill')
    """

    law: Law
    observations: Observations
    held_out: tuple[Hidden, ...]
    tree: xr.DataTree = field(repr=False)
    reference: Reference = field(repr=False)
    provenance: dict[str, Any] = field(repr=False)
    judged: diagnostics.Verdict | None = field(default=None, repr=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The fit itself, with weight one."""
        return (Part(type(self.law).__name__, self, 1.0),)

    @property
    def seed(self) -> int:
        """Seed of all random numbers of the fit."""
        return int(self.provenance["seed"])

    @cached_property
    def sampler(self) -> Sampler:
        """The sampler with its settings, for refits."""
        return from_sampler_specification(self.provenance["sampler"])

    @property
    def x64(self) -> bool:
        """Whether the fit was computed in double precision."""
        return self.sampler.x64

    @cached_property
    def covariates(self) -> tuple[Covariate, ...]:
        """Declarations of the covariates that the law uses."""
        return tuple(self.observations.covariates[name] for name in self.law.covariates)

    @cached_property
    def seen(self) -> np.ndarray:
        """Mask of the scores that the law was fitted to, shape (score_obs,)."""
        return ~hidden(self.observations.scores, self.held_out)

    @cached_property
    def losses_seen(self) -> np.ndarray:
        """Mask of the losses that the law was fitted to, shape (loss_obs,)."""
        return ~hidden(self.observations.losses, self.held_out)

    @cached_property
    def design(self) -> Design:
        """The design that the law was fitted to."""
        return designs.build(
            self.observations,
            self.seen,
            losses_seen=self.losses_seen,
            reference=self.reference,
            covariates=self.covariates,
        )

    @cached_property
    def verdict(self) -> diagnostics.Verdict:
        """Convergence diagnostics, with remedies for failed checks; of all draws, for a thinned copy too."""
        if self.judged is not None:
            return self.judged
        return diagnostics.check(self.tree, self.law.expected)

    @cached_property
    def seen_models(self) -> pd.DataFrame:
        """Models with a score or a loss that the law was fitted to, rows of the table of models."""
        own = self.observations
        seen = {*own.scores["model"][self.seen], *own.losses["model"][self.losses_seen]}
        return own.models[own.models["model"].isin(seen)]

    @cached_property
    def seen_scores(self) -> pd.DataFrame:
        """Scores that the law was fitted to, in the order of the table, with the columns that identify their models."""
        return described(self.observations)[self.seen]

    @cached_property
    def known_families(self) -> frozenset[str]:
        """Families of the seen models."""
        return frozenset(self.seen_models["family"])

    def complete(self, observations: Observations) -> Observations:
        """Fill in missing facts of other observations from the fit.

        Missing chance levels and item counts of benchmarks and lineages of families are taken from the fit.

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
        return observations.with_tables(
            models=models.assign(lineage=lineages), scores=scores.assign(**filled)
        )

    def design_of(
        self,
        observations: Observations,
        seen: np.ndarray | None = None,
        losses_seen: np.ndarray | None = None,
    ) -> Design:
        """Build the design of other, complete observations with the labels of the fit."""
        design = designs.build(
            observations,
            seen,
            losses_seen=losses_seen,
            reference=self.reference,
            benchmarks=self.design.labels("benchmark"),
            domains=self.design.labels("domain"),
            sources=self.design.labels("source"),
            covariates=self.covariates,
        )
        return replace(design, chance=self.design.chance)

    @property
    def n_draws(self) -> int:
        """Number of posterior draws in all chains together."""
        sizes = self.tree["posterior"].sizes
        return int(sizes["chain"] * sizes["draw"])

    def thinned(self, draws: int) -> Fit:
        """Return the fit with about `draws` of its draws over all chains, evenly spaced in each chain."""
        sizes = self.tree["posterior"].sizes
        rows = evenly(sizes["draw"], min(-(-draws // sizes["chain"]), sizes["draw"]))
        groups = {
            name: node.to_dataset().isel(draw=rows, missing_dims="ignore")
            for name, node in self.tree.children.items()
        }
        return replace(self, tree=xr.DataTree.from_dict(groups), judged=self.verdict)

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
        """Write the fit to one NetCDF file, for `load`.

        Args:
            path: The file to write. An interrupted call leaves no partial file there.

        Returns:
            The path.

        Raises:
            OSError: If the file cannot be written.

        Example:
            >>> import pathlib, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     print(fit.save(pathlib.Path(folder) / "sloth.nc").name)
            sloth.nc
        """
        path = Path(path)
        own = self.observations
        facts = {
            "law": specification(self.law),
            "held_out": list(self.held_out),
            "reference": self.reference.to_dict(),
            "covariates": [dataclasses.asdict(c) for c in own.covariates.values()],
            "provenance": self.provenance,
            "verdict": dataclasses.asdict(self.verdict),
        }
        tables = {kind: getattr(own, kind).to_csv(index=False) for kind in COLUMNS}
        files.write(path, self.tree, facts, tables)
        return path


def described(observations: Observations) -> pd.DataFrame:
    """Scores in the order of the table, with the columns that identify their models."""
    scores = observations.scores[["model", "benchmark", "score"]]
    return scores.merge(observations.models[[*identity_columns(observations.covariates)]])
