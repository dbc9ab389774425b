"""Designs with rows added, so that designs of similar sizes share compiled programs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scalebayes.model.design import LOCAL_DIMS

if TYPE_CHECKING:
    from scalebayes.model.design import Design

ARRAYS = {
    "model": (
        "log_params",
        "log_tokens",
        "log_per_nd",
        "run",
        "final",
        "family",
        "mixture",
        "covariates",
    ),
    "family": ("lineage", "centre", "level", "covariate_centre"),
    "model_without_tokens": ("unknown_tokens",),
    "score_obs": ("score_model", "score_benchmark", "score", "n_items", "observed"),
    "loss_obs": ("loss_model", "loss_domain", "log_loss", "loss_observed"),
}
"""Arrays of a design by their first dimension."""


def padded(design: Design) -> Design:
    """Return the design with further rows, so that the size of each dimension of rows is a power of two.

    Further models are twins of the last one. All further scores and losses are of them, and count as observed.
    Further families, lineages and runs are new. What a law says about the rows of the design stays as it is.
    """
    sizes = {dim: len(design.labels(dim)) for dim in LOCAL_DIMS}
    sizes |= {"score_obs": len(design.score), "loss_obs": len(design.log_loss)}
    more = {dim: _power_of_two(n) - n for dim, n in sizes.items()}
    twins = max(1, more["model_without_tokens"])
    more["model"] = _power_of_two(sizes["model"] + twins) - sizes["model"]

    def extended(dim: str, values: np.ndarray) -> np.ndarray:
        values = np.asarray(values)
        last = np.broadcast_to(values[-1:], (more[dim] if len(values) else 0, *values.shape[1:]))
        return np.concatenate([values, last])

    arrays: dict[str, Any] = {
        name: extended(dim, getattr(design, name))
        for dim, names in ARRAYS.items()
        for name in names
    }
    first = sizes["model"]  # of the further models
    arrays["score_model"][sizes["score_obs"] :] = first
    arrays["observed"][sizes["score_obs"] :] = True
    arrays["loss_model"][sizes["loss_obs"] :] = first
    arrays["loss_observed"][sizes["loss_obs"] :] = True
    unknown = first + np.arange(more["model_without_tokens"])
    arrays["unknown_tokens"][sizes["model_without_tokens"] :] = unknown
    coords = tuple(
        (dim, (*labels, *(f"\0{i}" for i in range(more.get(dim, 0)))))
        for dim, labels in design.coords
    )
    return replace(design, **arrays, coords=coords)


def _power_of_two(n: int) -> int:
    """The smallest power of two that is at least n; zero stays zero."""
    return 1 << (n - 1).bit_length() if n else 0
