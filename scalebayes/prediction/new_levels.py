"""Local effects of a design: posterior draws for known labels, population draws for new ones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers

from scalebayes.data.schema import quoted
from scalebayes.model.design import LOCAL_DIMS
from scalebayes.model.effects import local_dim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


def new_names(models: pd.DataFrame, n: int) -> list[str]:
    """N unused model names; for names of known models or runs the fitted effects would be reused."""
    taken = {*models["model"], *models["run"]}
    free = (name for i in itertools.count() if (name := f"point {i}") not in taken)
    return list(itertools.islice(free, n))


def check_known(dim: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Check that labels of a dimension are in the fit.

    Raises:
        ValueError: Naming unknown and known labels.
    """
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"the fit has no {dim} {quoted(unknown)}, it has {quoted(known) or 'none at all'}"
        )


def positions(fit: Fit, design: Design) -> dict[str, np.ndarray]:
    """Index in the fit of each label of a design, by local dimension; -1 for a new label."""
    where = {}
    for dim in LOCAL_DIMS:
        known = {label: i for i, label in enumerate(fit.design.labels(dim))}
        where[dim] = np.array([known.get(label, -1) for label in design.labels(dim)], int)
    return where


def at_draw(
    law: Law,
    draw: Mapping[str, Any],
    position: Mapping[str, Any],
    fill: Callable[[Mapping[str, Any]], Any] | None = None,
) -> Callable[..., Any]:
    """Substitute one posterior draw: all global sites, and the rows of known labels of local sites.

    Args:
        law: The law.
        draw: Values of the sampled sites in the fit, one draw.
        position: The result of `positions`.
        fill: Function from the message of a local site to its values, in which rows of known labels are then
            replaced. By default, and if it returns None, new rows are drawn from their population.
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
