"""One mass matrix and one step size for all chains, estimated from the draws of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_triangular

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_one_mass(
    states: Sequence[Any],
    z: dict[str, np.ndarray],
    reflection: dict[str, np.ndarray],
    even: Sequence[str] = (),
) -> list[Any]:
    """The states with the mass matrix that draws z (chain, draw, ...) of all chains suggest."""
    masses = [_mass(states[0].adapt_state, z, signs) for signs in mirrored(z, reflection, even)]
    if states[0].adapt_state.step_size.ndim:  # all chains in one program
        masses = [jax.tree.map(lambda *v: np.stack(v), *masses)]
    return [
        state._replace(adapt_state=state.adapt_state._replace(**jax.tree.map(jnp.asarray, mass)))
        for state, mass in zip(states, masses, strict=True)
    ]


def with_one_step_size(states: Sequence[Any]) -> list[Any]:
    """The states with the geometric mean of their step sizes, which a short warmup tells only roughly."""
    sizes = [np.ravel(state.adapt_state.step_size) for state in states]
    size = np.exp(np.mean(np.log(np.concatenate(sizes))))
    return [
        state._replace(
            adapt_state=state.adapt_state._replace(
                step_size=jnp.full_like(state.adapt_state.step_size, size)
            )
        )
        for state in states
    ]


def mirrored(
    z: dict[str, np.ndarray], reflection: dict[str, np.ndarray], even: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """For each chain, signs (chain, 1, ...) by site that bring all chains to its side of each mirror."""
    n_chain = len(next(iter(z.values())))
    overlap = np.zeros((n_chain, n_chain))  # of the means of the chains, where the reflection acts
    for name, sign in reflection.items():
        mean = (z[name].mean(axis=1) * (sign < 0)).reshape(n_chain, -1)
        overlap += mean @ mean.T
    side = {name: np.where(z[name].mean(axis=1, keepdims=True) < 0, -1.0, 1.0) for name in even}
    return [
        {
            name: np.where((row < 0).reshape(-1, *[1] * (z[name].ndim - 1)), sign, 1.0)
            for name, sign in reflection.items()
        }
        | {name: own * own[chain] for name, own in side.items()}
        for chain, row in enumerate(overlap)
    ]


def _mass(adapt: Any, z: dict[str, np.ndarray], signs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Inverse mass matrix, root and inverse root, by block of sites, from draws times signs."""
    parts: Any = {}, {}, {}
    for names, old in adapt.inverse_mass_matrix.items():
        moved = [z[name] * signs.get(name, 1.0) for name in names]
        draws = np.concatenate([v.reshape(v.shape[0] * v.shape[1], -1) for v in moved], axis=1)
        dense = old.ndim > adapt.step_size.ndim + 1
        for part, value in zip(parts, metric(draws.astype(np.float64), dense), strict=True):
            part[names] = np.asarray(value, old.dtype)
    names = "inverse_mass_matrix", "mass_matrix_sqrt", "mass_matrix_sqrt_inv"
    return dict(zip(names, parts, strict=True))


def metric(draws: np.ndarray, dense: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse mass matrix from draws (draw, dimension), a root of the mass matrix, and its inverse.

    The covariance is shrunk a little towards its diagonal, which keeps it positive definite when draws are few.
    """
    n, d = draws.shape
    variance = draws.var(axis=0) + 1e-12
    if not dense:
        return variance, 1 / np.sqrt(variance), np.sqrt(variance)
    keep = n / (n + 5)
    covariance = keep * np.cov(draws.T, ddof=0).reshape(d, d)
    covariance[np.diag_indices(d)] = variance
    # the triangular root that NumPyro takes: root root' = inverse of the covariance
    inverse_root = np.linalg.cholesky(covariance[::-1, ::-1])[::-1, ::-1].T
    return covariance, solve_triangular(inverse_root, np.eye(d), lower=True), inverse_root
