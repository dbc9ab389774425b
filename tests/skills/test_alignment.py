"""Alignment against simulated truth, a search over all rotations, and its own invariances."""

from __future__ import annotations

import time

import numpy as np
import pytest

from scalebayes.skills.alignment import ROTATIONS, align, rotate

SIMPLE = np.array(
    [
        [1.2, 0.0, 0.0],
        [1.0, 0.1, 0.0],
        [0.9, 0.0, 0.1],
        [1.1, 0.0, 0.0],
        [0.0, 0.9, 0.0],
        [0.1, 0.8, 0.0],
        [0.0, 1.0, 0.1],
        [0.0, 0.0, 0.7],
        [0.0, 0.1, 0.6],
    ]
)
PERFECT = np.where(SIMPLE > 0.2, SIMPLE, 0.0)
CORRELATION = np.array([[1.0, 0.4, 0.2], [0.4, 1.0, 0.3], [0.2, 0.3, 1.0]])


def white_skills(rng, n_model, correlation):
    """Skills whose sample covariance is the given correlation exactly."""
    theta = rng.normal(size=(n_model, len(correlation)))
    theta -= theta.mean(axis=0)
    theta = theta @ np.linalg.inv(np.linalg.cholesky(theta.T @ theta / n_model)).T
    return theta @ np.linalg.cholesky(correlation).T


def scrambled(rng, loadings, correlation, *, n_draw=200, noise=0.05, orthogonal=False):
    """Draws about true loadings and skills, each on axes of its own."""
    n_skill = loadings.shape[1]
    lam = loadings + noise * rng.normal(size=(n_draw, *loadings.shape))
    theta = np.broadcast_to(white_skills(rng, 50, correlation), (n_draw, 50, n_skill))
    turn = np.linalg.qr(rng.normal(size=(n_draw, n_skill, n_skill)))[0]  # signs and order included
    if not orthogonal:
        turn = turn @ (np.eye(n_skill) + 0.3 * rng.normal(size=turn.shape))
    return lam @ turn, theta @ np.linalg.inv(turn).swapaxes(1, 2)


def aligned(lam, theta, **kwargs):
    transform = align(lam, theta, **kwargs)
    return lam @ transform, theta @ np.linalg.inv(transform).swapaxes(1, 2)


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("rotation", ["varimax", "quartimax"])
def test_orthogonal_rotations_recover_uncorrelated_skills(rotation, orthogonal):
    rng = np.random.default_rng(1)
    draws = scrambled(rng, SIMPLE, np.eye(3), orthogonal=orthogonal)
    lam, theta = aligned(*draws, rotation=rotation)
    np.testing.assert_allclose(lam.mean(axis=0), SIMPLE, atol=0.07)
    assert lam.std(axis=0).max() < 0.08
    covariance = np.einsum("dik,dim->dkm", theta, theta) / theta.shape[1]
    np.testing.assert_allclose(covariance, np.broadcast_to(np.eye(3), covariance.shape), atol=1e-9)


@pytest.mark.parametrize(("rotation", "atol"), [("oblimin", 0.03), ("promax", 0.08)])
def test_oblique_rotations_recover_correlated_skills(rotation, atol):
    rng = np.random.default_rng(2)
    lam, theta = aligned(*scrambled(rng, PERFECT, CORRELATION), rotation=rotation)
    np.testing.assert_allclose(lam.mean(axis=0), PERFECT, atol=atol)
    covariance = np.einsum("dik,dim->dkm", theta, theta) / theta.shape[1]
    np.testing.assert_allclose(covariance.mean(axis=0), CORRELATION, atol=atol)
    np.testing.assert_allclose(np.diagonal(covariance, axis1=1, axis2=2), 1.0, atol=1e-9)


def test_an_orthogonal_rotation_cannot_show_correlated_skills():
    rng = np.random.default_rng(2)
    lam, _ = aligned(*scrambled(rng, PERFECT, CORRELATION), rotation="varimax")
    assert np.abs(lam.mean(axis=0) - PERFECT).max() > 0.15


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("n_skill", [1, 2, 3, 4])
def test_fitted_abilities_do_not_change(rotation, n_skill):
    rng = np.random.default_rng(3)
    lam = rng.normal(size=(20, 7, n_skill))
    theta = rng.normal(size=(20, 11, n_skill))
    new_lam, new_theta = aligned(lam, theta, rotation=rotation)
    np.testing.assert_allclose(
        new_theta @ new_lam.swapaxes(1, 2), theta @ lam.swapaxes(1, 2), atol=1e-11
    )


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_axes_of_the_draws_do_not_matter(rotation):
    rng = np.random.default_rng(4)
    lam, theta = scrambled(rng, SIMPLE, CORRELATION, n_draw=50)
    before = aligned(lam, theta, rotation=rotation)
    turn = rng.normal(size=(50, 3, 3))
    after = aligned(lam @ turn, theta @ np.linalg.inv(turn).swapaxes(1, 2), rotation=rotation)
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)
    np.testing.assert_allclose(after[1], before[1], atol=1e-5)


def test_one_skill_gets_its_scale_and_sign():
    rng = np.random.default_rng(5)
    truth = np.array([[1.0], [0.8], [-0.1], [0.6]])
    lam, theta = scrambled(rng, truth, np.eye(1))
    new_lam, new_theta = aligned(lam, theta)
    np.testing.assert_allclose(new_lam.mean(axis=0), truth, atol=0.02)
    np.testing.assert_allclose(new_theta.std(axis=1), 1.0)


def test_order_is_by_what_a_skill_explains_and_loadings_are_positive():
    rng = np.random.default_rng(6)
    lam, theta = scrambled(rng, -SIMPLE[:, [2, 0, 1]], np.eye(3))
    new_lam, _ = aligned(lam, theta, rotation="varimax")
    np.testing.assert_allclose(new_lam.mean(axis=0), SIMPLE, atol=0.07)


def test_order_and_signs_follow_a_reference():
    rng = np.random.default_rng(7)
    reference = PERFECT[:, [1, 2, 0]] * [1.0, -1.0, 1.0]
    lam, theta = scrambled(rng, PERFECT, CORRELATION)
    new_lam, _ = aligned(lam, theta, reference=reference)
    np.testing.assert_allclose(new_lam.mean(axis=0), reference, atol=0.03)


def kaiser(loadings):
    return loadings / np.linalg.norm(loadings, axis=1, keepdims=True)


def complexity(loadings):
    """Quartimin by its definition: products of squared loadings on different skills."""
    return (loadings[:, 0] ** 2 * loadings[:, 1] ** 2).sum()


def varimax(loadings):
    return np.var(loadings**2, axis=0).sum()


def quartimax(loadings):
    return (loadings**4).sum()


@pytest.mark.parametrize("seed", range(5))
def test_rotations_are_the_best_of_all_angles(seed):
    loadings = np.random.default_rng(seed).normal(size=(6, 2))
    rows = kaiser(loadings)
    angles = np.linspace(0, np.pi, 721)
    axes = np.stack([np.cos(angles), np.sin(angles)])

    for name, simplicity in (("varimax", varimax), ("quartimax", quartimax)):
        ours = simplicity(rows @ rotate(loadings, name))
        turns = [np.stack([[c, -s], [s, c]]) for c, s in axes.T]
        best = max(simplicity(rows @ turn) for turn in turns)
        assert best - 1e-9 <= ours <= best + 1e-3

    apart = [(i, j) for i in range(0, 721, 6) for j in range(0, 721, 6) if i != j]
    best = min(complexity(rows @ np.linalg.inv(axes[:, pair]).T) for pair in apart)
    ours = complexity(rows @ rotate(loadings, "oblimin"))
    assert best - 1e-2 <= ours <= best + 1e-9


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_rotated_skills_have_unit_variance(rotation):
    m = rotate(np.random.default_rng(8).normal(size=(8, 3)), rotation)
    correlation = np.linalg.inv(m.T @ m)
    np.testing.assert_allclose(np.diag(correlation), 1.0)
    if rotation in ("varimax", "quartimax"):
        np.testing.assert_allclose(correlation, np.eye(3), atol=1e-12)


def test_thousands_of_draws_take_seconds():
    rng = np.random.default_rng(9)
    lam, theta = scrambled(rng, rng.normal(size=(12, 4)), np.eye(4), n_draw=2000, noise=0.2)
    start = time.process_time()
    align(lam, theta)
    assert time.process_time() - start < 10


def test_bad_input_is_named():
    lam, theta = np.ones((5, 4, 2)), np.random.default_rng(0).normal(size=(5, 9, 2))
    with pytest.raises(ValueError, match=r"rotation must be one of oblimin, promax.*'oblimax'"):
        align(lam, theta, rotation="oblimax")
    with pytest.raises(ValueError, match="rotation must be one of"):
        rotate(lam[0], "oblimax")
    with pytest.raises(ValueError, match=r"got shapes \(5, 4, 2\) and \(4, 9, 2\)"):
        align(lam, theta[:4])
    with pytest.raises(ValueError, match="2 skills cannot be separated by 1 benchmarks"):
        align(lam[:, :1], theta)
    with pytest.raises(ValueError, match="9 models do not span 2 dimensions"):
        align(lam, np.repeat(theta[:, :, :1], 2, axis=2))
    with pytest.raises(ValueError, match=r"reference of shape \(4, 2\)"):
        align(lam, theta, reference=np.ones((4, 3)))
