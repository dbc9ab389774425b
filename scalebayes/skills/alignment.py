r"""Alignment of skills over posterior draws: rotation, signs and order.

The likelihood depends on loadings Lam and skills theta through Lam theta_i only, which is unchanged by any
invertible T: Lam T and T^-1 theta_i give the same abilities. T differs between draws, so that means over draws
are meaningless before a T is chosen for each draw. `align` chooses it in three steps:

1. **Whiten.** In each draw, skills get unit covariance over the models. A loading is then the effect of one
   standard deviation over models, and draws differ by orthogonal matrices only.
2. **Rotate to a common orientation** by generalised orthogonal Procrustes: each draw is rotated to be as close
   as possible to the mean of all rotated draws.
3. **Rotate the mean to simple structure**, and all draws by the same matrix; then order and sign.

An alternative is to rotate each draw to its own simplest structure, and to match columns and signs (RSP
algorithm). The two agree if the structure is clear. If two orientations are nearly equally simple, rotations of
single draws jump between them, which inflates the posterior sd of loadings, in trials up to twofold. With one
rotation for all draws, loadings refer to the same axes, and their posterior sd is that on these axes. The
drawback: the correlation of oblique skills over the models is fixed by the axes, without posterior uncertainty.

References:
    Bayesian analysis of static and dynamic factor models: an ex-post approach towards the rotation
    problem (Procrustes over draws), https://doi.org/10.1016/j.jeconom.2015.10.010
    Papastamoulis and Ntzoufras, On the identifiability of Bayesian factor analytic models (RSP),
    https://arxiv.org/abs/2004.05105
    Jennrich, A simple general method for oblique rotation, https://doi.org/10.1007/BF02294706
    Bernaards and Jennrich, Gradient projection algorithms and software for arbitrary rotation
    criteria in factor analysis, https://doi.org/10.1177/0013164404272507
    Hendrickson and White, Promax, https://doi.org/10.1111/j.2044-8317.1964.tb00244.x
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from collections.abc import Callable

    Criterion: TypeAlias = Callable[[np.ndarray], tuple[float, np.ndarray]]

ROTATIONS = ("oblimin", "promax", "varimax", "quartimax")
"""Names of the rotations: the first two are oblique, with correlated skills, the others orthogonal."""

RANDOM_STARTS = 20
"""Random starts of a rotation, beside the identity: the criterion has several local optima."""


def align(
    lam: np.ndarray,
    theta: np.ndarray,
    *,
    rotation: str = "oblimin",
    reference: np.ndarray | None = None,
) -> np.ndarray:
    """Find the transform of each draw that gives all draws the same axes.

    Aligned loadings are `lam @ T`, aligned skills are `theta @ inv(T)'`; their product is unchanged. Family
    effects and slopes on skills transform like `theta`.

    Args:
        lam: Draws of loadings, shape (draw, benchmark, skill).
        theta: Draws of the skills of models, shape (draw, model, skill).
        rotation: One of `ROTATIONS`.
        reference: Rotated loadings to match in order and signs, shape (benchmark, skill), such as those of an
            earlier fit. By default skills are in the order of explained variance, and loadings have positive sums.

    Returns:
        T, shape (draw, skill, skill).

    Raises:
        ValueError: If the rotation is unknown, shapes disagree, or the skills of the models span fewer dimensions
            than there are skills.
    """
    _check_name(rotation)
    lam, theta = np.asarray(lam, float), np.asarray(theta, float)
    if lam.ndim != 3 or theta.ndim != 3 or lam.shape[::2] != theta.shape[::2]:
        raise ValueError(
            "expected loadings (draw, benchmark, skill) and skills (draw, model, skill), got "
            f"shapes {lam.shape} and {theta.shape}"
        )
    n_benchmark, n_skill = lam.shape[1:]
    if n_skill > n_benchmark:
        raise ValueError(
            f"{n_skill} skills cannot be separated by {n_benchmark} benchmarks: fit at most as "
            "many skills as benchmarks"
        )
    if reference is not None and np.shape(reference) != lam.shape[1:]:
        raise ValueError(
            f"expected a reference of shape {lam.shape[1:]}, got shape {np.shape(reference)}"
        )
    transform = _whitening(theta)
    transform = transform @ _common_orientation(lam @ transform)
    mean = (lam @ transform).mean(axis=0)
    rotated = rotate(mean, rotation)
    return transform @ rotated @ _order_and_signs(mean @ rotated, rotated, reference)


def rotate(loadings: np.ndarray, rotation: str) -> np.ndarray:
    """Rotate loadings of uncorrelated skills of unit variance to simple structure.

    Rows are scaled to unit length for the rotation (Kaiser normalisation), so that all benchmarks have equal
    weight.

    Args:
        loadings: Shape (benchmark, skill).
        rotation: One of `ROTATIONS`: `oblimin` is direct oblimin with gamma = 0 (quartimin).

    Returns:
        M, shape (skill, skill): rotated loadings are `loadings @ M`; rotated skills have unit
        variance and correlation inv(M'M), the identity for `varimax` and `quartimax`.

    Raises:
        ValueError: If the rotation is unknown.
    """
    _check_name(rotation)
    if loadings.shape[1] == 1:
        return np.eye(1)
    length = np.linalg.norm(loadings, axis=1, keepdims=True)
    kaiser = loadings / np.where(length > 0, length, 1.0)
    if rotation == "promax":
        turn = _simplest(kaiser, _varimax, oblique=False)
        return turn @ _promax(kaiser @ turn)
    if rotation == "oblimin":
        return _simplest(kaiser, _quartimin, oblique=True)
    return _simplest(kaiser, _varimax if rotation == "varimax" else _quartimax, oblique=False)


def _check_name(rotation: str) -> None:
    if rotation not in ROTATIONS:
        raise ValueError(f"rotation must be one of {', '.join(ROTATIONS)}, but is {rotation!r}")


def _whitening(theta: np.ndarray) -> np.ndarray:
    """Transforms to unit covariance of skills over the models, shape (draw, skill, skill)."""
    n_model, n_skill = theta.shape[1:]
    centred = theta - theta.mean(axis=1, keepdims=True)
    covariance = centred.swapaxes(1, 2) @ centred / n_model
    spread = np.linalg.eigvalsh(covariance)
    if n_model <= n_skill or np.any(spread[:, 0] <= 1e-10 * spread[:, -1]):
        raise ValueError(
            f"the skills of {n_model} models do not span {n_skill} dimensions, so that skills "
            "cannot be standardised: fit more models and families, or fewer skills"
        )
    # covariance = C C', so theta inv(C)' is white: T is C
    return np.linalg.cholesky(covariance)


def _common_orientation(lam: np.ndarray) -> np.ndarray:
    """Orthogonal matrices that rotate whitened loadings to their mean, shape (draw, skill, skill).

    The start, principal axes of the mean of Lam Lam', does not depend on the orientation of the draws.
    Each step is `scipy.linalg.orthogonal_procrustes` for all draws at once.
    """
    n_skill = lam.shape[2]
    values, vectors = np.linalg.eigh((lam @ lam.swapaxes(1, 2)).mean(axis=0))
    target = vectors[:, -n_skill:] * np.sqrt(np.maximum(values[-n_skill:], 0.0))
    for _ in range(200):
        left, _, right = np.linalg.svd(lam.swapaxes(1, 2) @ target)
        turn = left @ right
        mean = (lam @ turn).mean(axis=0)
        converged = np.abs(mean - target).max() <= 1e-9 * np.abs(mean).max()
        target = mean
        if converged:
            break
    return turn


def _order_and_signs(
    loadings: np.ndarray, rotated: np.ndarray, reference: np.ndarray | None
) -> np.ndarray:
    """Signed permutation matrix for the columns of rotated loadings, shape (skill, skill)."""
    if reference is None:
        correlation = np.linalg.inv(rotated.T @ rotated)
        order = np.argsort(-np.sum(loadings * (loadings @ correlation), axis=0))
        sign = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
    else:
        lengths = np.linalg.norm(reference, axis=0)[:, None] * np.linalg.norm(loadings, axis=0)
        congruence = np.asarray(reference).T @ loadings / np.where(lengths > 0, lengths, 1.0)
        order = linear_sum_assignment(-np.abs(congruence))[1]
        matched = congruence[np.argsort(order), np.arange(len(order))]
        sign = np.where(matched < 0, -1.0, 1.0)
    return (np.eye(len(order)) * sign)[:, order]


def _varimax(loadings: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the variance of squared loadings within columns, and its gradient."""
    spread = loadings**2 - np.mean(loadings**2, axis=0)
    return -float(np.sum(spread**2)) / 4, -loadings * spread


def _quartimax(loadings: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the sum of fourth powers, and its gradient."""
    return -float(np.sum(loadings**4)) / 4, -(loadings**3)


def _quartimin(loadings: np.ndarray) -> tuple[float, np.ndarray]:
    """Covariation of squared loadings between columns, and its gradient."""
    squares = loadings**2
    others = squares.sum(axis=1, keepdims=True) - squares
    return float(np.sum(squares * others)) / 4, loadings * others


def _promax(loadings: np.ndarray, power: int = 4) -> np.ndarray:
    """Oblique transform of varimax loadings towards their powers, shape (skill, skill)."""
    target = np.sign(loadings) * np.abs(loadings) ** power
    towards = np.linalg.lstsq(loadings, target)[0]
    return towards * np.sqrt(np.diag(np.linalg.inv(towards.T @ towards)))


def _simplest(loadings: np.ndarray, criterion: Criterion, *, oblique: bool) -> np.ndarray:
    """The best of several gradient projections, shape (skill, skill)."""
    n_skill = loadings.shape[1]
    rng = np.random.default_rng(0)  # fixed: the same loadings are always rotated the same way
    starts = [np.linalg.qr(rng.normal(size=(n_skill, n_skill)))[0] for _ in range(RANDOM_STARTS)]
    ends = [
        _gradient_projection(loadings, criterion, start, oblique=oblique)
        for start in [np.eye(n_skill), *starts]
    ]
    return min(ends, key=lambda end: end[0])[1]


def _gradient_projection(
    loadings: np.ndarray, criterion: Criterion, start: np.ndarray, *, oblique: bool
) -> tuple[float, np.ndarray]:
    """Minimise a criterion over rotations (Bernaards and Jennrich, GPForth and GPFoblq).

    The rotation S of skills is orthogonal, or has columns of unit length if oblique. Loadings
    rotate by M = inv(S)', which is S itself if orthogonal.

    Returns:
        The criterion's value and M.
    """

    def at(s: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        m = np.linalg.inv(s).T if oblique else s
        rotated = loadings @ m
        value, slope = criterion(rotated)
        gradient = -m @ slope.T @ rotated if oblique else loadings.T @ slope
        return value, gradient, m

    def back(s: np.ndarray) -> np.ndarray:  # to the nearest rotation
        if oblique:
            return s / np.linalg.norm(s, axis=0)
        left, _, right = np.linalg.svd(s)
        return left @ right

    s, step = start, 1.0
    value, gradient, m = at(s)
    for _ in range(1000):
        if oblique:
            downhill = gradient - s * np.sum(s * gradient, axis=0)
        else:
            inner = s.T @ gradient
            downhill = gradient - s @ (inner + inner.T) / 2
        length = np.linalg.norm(downhill)
        if length < 1e-7:
            break
        step *= 2
        for _ in range(20):
            tried = back(s - step * downhill)
            reached = at(tried)
            if value - reached[0] > step * length**2 / 2:
                break
            step /= 2
        else:
            break  # no descent is left at this precision
        s, (value, gradient, m) = tried, reached
    return value, m
