"""Levels of a posterior by label: known families keep their draws, new ones are drawn from the population."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers

from scalebayes.data.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from scalebayes.model.design import Design
    from scalebayes.model.law import Law
    from scalebayes.posterior import Fit

LOCAL_DIMS = ("family", "lineage", "run", "model", "model_without_tokens")
"""Dimensions along which sampled effects grow with the data. A site has at most one, its first."""


def local_dim(law: Law, site: str) -> str | None:
    """The dimension of `LOCAL_DIMS` along which a site grows; None for a global one."""
    dims = law.dims[site]
    return dims[0] if dims and dims[0] in LOCAL_DIMS else None


def new_names(models: pd.DataFrame, n: int) -> list[str]:
    """Names of n models that neither models nor runs of a fit bear: it would know their luck."""
    taken = {*models["model"], *models["run"]}
    free = (name for i in itertools.count() if (name := f"point {i}") not in taken)
    return list(itertools.islice(free, n))


def check_known(dim: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Refuse labels of a dimension that a fit does not know.

    Raises:
        ValueError: Naming them, and those that it knows.
    """
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"the fit has no {dim} {quoted(unknown)}, it has {quoted(known) or 'none at all'}"
        )


def check_mixtures(law: Law, design: Design) -> None:
    """Refuse models without a mixture where the law needs it.

    Raises:
        ValueError: Naming the models.
    """
    unknown = np.isnan(np.asarray(design.mixture)).any(axis=1)
    if unknown.any() and any("source" in dims for dims in law.dims.values()):
        names = [m for m, missing in zip(design.labels("model"), unknown, strict=True) if missing]
        raise ValueError(
            f"{type(law).__name__} needs the mixture of every model, but none is known of "
            f"{quoted(names)}: give their mixtures, or leave them out"
        )


def positions(fit: Fit, design: Design) -> dict[str, np.ndarray]:
    """Where each label of a design stands in the fit, by dimension; -1 for a new one."""
    where = {}
    for dim in LOCAL_DIMS:
        known = {label: i for i, label in enumerate(fit.design.labels(dim))}
        where[dim] = np.array([known.get(label, -1) for label in design.labels(dim)], int)
    return where


def given(
    law: Law,
    draw: Mapping[str, Any],
    position: Mapping[str, Any],
    fill: Callable[[Mapping[str, Any]], Any] | None = None,
) -> Callable[..., Any]:
    """The law with its global sites, and the rows of known labels, at one posterior draw.

    Args:
        law: The law.
        draw: Values of the sampled sites in the fit, one draw.
        position: What `positions` gave.
        fill: Values of a local site from its message; its known rows are replaced afterwards. Where it
            gives None, and by default, a draw from the distribution that the population gives.
    """

    def value(site: Mapping[str, Any]) -> Any:
        name = site["name"]
        if site["type"] != "sample" or site["is_observed"]:
            return None
        dim = local_dim(law, name)
        if dim is None:
            return draw[name]
        rows = fill(site) if fill else None
        if rows is None:
            rows = site["fn"].sample(numpyro.prng_key())
        at, known = position[dim], draw.get(name)
        if known is None or known.shape[0] == 0:
            return rows
        keep = (at >= 0).reshape(-1, *[1] * (rows.ndim - 1))
        return jnp.where(keep, known[jnp.maximum(at, 0)], rows)

    return handlers.substitute(law, substitute_fn=value)
