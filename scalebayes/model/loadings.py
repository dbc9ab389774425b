"""Loadings identified up to a rotation: lower triangular matrices, and rotation-invariant quantities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from scalebayes.model.sites import Invariant, site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jax import Array

LENGTH = site(
    "benchmark", phrase="loadings: effect of all skills on a benchmark", informed_by="families"
)
ANGLE = site(
    "benchmark", "with",
    phrase="loadings: which benchmarks share a skill", informed_by="benchmarks",
)  # fmt: skip


def free_entries(n_benchmark: int, n_skill: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the normal entries of lower triangular loadings, each of shape (free_loading,).

    These are the entries below the diagonal, and the last one on the diagonal.
    """
    row, column = np.tril_indices(n_benchmark, 0, n_skill)
    free = (row != column) | (row == n_skill - 1)
    return row[free], column[free]


def lower_triangular(
    free: Array, leading: Array | None, scale: Array, n_benchmark: int, n_skill: int
) -> Array:
    """Lower triangular loadings, shape (benchmark, skill).

    Args:
        free: Normal entries, in the order of `free_entries`, shape (free_loading,).
        leading: Squares of the other diagonal entries over scale^2, shape (skill - 1,); None for one skill.
        scale: Standard deviation of the entries of a full matrix of loadings with the same prior.
        n_benchmark: Number of benchmarks.
        n_skill: Number of skills.
    """
    row, column = free_entries(n_benchmark, n_skill)
    lam = jnp.zeros((n_benchmark, n_skill)).at[row, column].set(free)
    if leading is None:
        return lam
    diagonal = np.arange(n_skill - 1)
    return lam.at[diagonal, diagonal].set(scale * jnp.sqrt(leading))


def invariants_of_loadings(
    lam: np.ndarray, sampled: tuple[str, ...], benchmarks: Sequence[str]
) -> list[Invariant]:
    """Logs of the lengths of the rows of the loadings, and cosines of the angles between them.

    Together they determine Lam Lam', the maximal invariant of the loadings under rotations.

    Args:
        lam: Draws of the loadings, shape (draw, benchmark, skill).
        sampled: The sampled sites that the loadings depend on.
        benchmarks: Names of the benchmarks.
    """
    length = np.linalg.norm(lam, axis=2)
    unit = lam / length[..., None]
    one, other = np.tril_indices(lam.shape[1], -1)
    pairs = tuple(
        {"benchmark": benchmarks[int(j)], "with": benchmarks[int(k)]}
        for j, k in zip(one, other, strict=True)
    )
    cosine = (unit[:, one] * unit[:, other]).sum(-1)
    return [
        Invariant("lam length", np.log(length), LENGTH, sampled),
        Invariant("lam angle", cosine, ANGLE, sampled, pairs),
    ]


def on_benchmarks(effects: Invariant, lam: np.ndarray) -> Invariant:
    """Effects on skills, multiplied by loadings; other quantities unchanged.

    Args:
        effects: Draws of a site; skills are its last dimension if it has effects on skills.
        lam: Draws of the loadings, shape (draw, benchmark, skill).
    """
    dims = effects.site.dims
    if dims[-1:] != ("skill",):
        return effects
    return effects._replace(
        values=np.einsum("s...k,sjk->s...j", effects.values, lam),
        site=replace(effects.site, dims=(*dims[:-1], "benchmark")),
    )
