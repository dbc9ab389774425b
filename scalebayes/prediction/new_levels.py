"""Levels of a posterior by label: known families keep their draws, new ones are drawn from the population."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers

from scalebayes.data.schema import quoted
from scalebayes.model.effects import LOCAL_DIMS, local_dim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


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
