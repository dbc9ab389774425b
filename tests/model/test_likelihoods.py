"""The contract of every likelihood, against integrals, frequencies of draws and its own joint density.

It runs over every subclass of `Likelihood` in the package. A new one needs a function in `EXAMPLES`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scalebayes.inference.compilation import jit
from scalebayes.model import likelihoods
from scalebayes.model.likelihoods import Emerging, Likelihood, Noisy

# column 3 is a twin of column 0, of the same distribution and never observed
MODEL = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 3])
COLUMN = np.array([0, 1, 2, 3, 0, 1, 2, 3, 1, 2])
SEEN = np.array([1, 1, 1, 0, 1, 0, 1, 0, 1, 0], bool)
VALUE = np.array([0.36, 0.03, 0.6, 0.36, 0.28, 0.12, 0.57, 0.28, 0.03, 0.56])
MEAN = np.array([[0.33, 0.02, 0.56], [0.24, 0.07, 0.6], [0.3, 0.04, 0.5], [0.4, 0.1, 0.57]])
SD = np.array([[0.04, 0.03, 0.05], [0.05, 0.02, 0.03], [0.02, 0.03, 0.04], [0.03, 0.03, 0.03]])
SHARED = np.array([0.05, 0.04, 0.03]) * np.array([[[1.0], [0.7], [1.2], [-1.0]]])
SECOND = np.array([-0.02, 0.04, 0.01]) * np.array([[[1.0], [1.5], [0.6], [1.0]]])
CHANCE, THRESHOLD = np.array([0.25, 0.0, 0.5]), np.array([0.3, 0.05, 0.55])

N = 40_000
SIGMAS = 4.5  # Monte Carlo errors that a comparison may be off


@dataclass(frozen=True)
class Example:
    """A likelihood of the values above.

    Attributes:
        likelihood: The likelihood, of values at `MODEL` and `COLUMN`, `SEEN` of which are observed.
        value: Values, shape (value,).
        jump: Where the density of each value jumps; anything if nowhere, shape (value,).
        whole: Values whose conditional density is given all others of their model, shape (value,).
    """

    likelihood: Likelihood
    value: np.ndarray
    jump: np.ndarray
    whole: np.ndarray


def twinned(*arrays: np.ndarray) -> list[jax.Array]:
    return [jnp.asarray(np.concatenate([v, v[..., :1]], axis=-1)) for v in arrays]


SHARING = {
    "nothing shared": np.zeros((0, 4, 3)),
    "one shared": SHARED,
    "two shared": np.concatenate([SHARED, SECOND]),
}


def noisy(shared: np.ndarray) -> Noisy:
    return Noisy(*twinned(MEAN, SD, shared), (MODEL, COLUMN), jnp.asarray(SEEN))


def examples_of_noisy() -> dict[str, Example]:
    return {k: Example(noisy(v), VALUE, VALUE, np.ones(10, bool)) for k, v in SHARING.items()}


def examples_of_emerging() -> dict[str, Example]:
    found = {}
    for name, shared in SHARING.items():
        likelihood = Emerging(noisy(shared), *twinned(CHANCE, THRESHOLD, 0.8 * SD))
        at = np.asarray(likelihood.at)
        value = np.maximum(VALUE, at + 0.01) if name == "two shared" else VALUE
        # a value above is given the others above only, one below is given these too
        with_one_below = np.isin(MODEL, MODEL[SEEN & (value <= at)])
        found[name] = Example(likelihood, value, at, ~with_one_below | (value <= at))
    return found


EXAMPLES: dict[type[Likelihood], Callable[[], dict[str, Example]]] = {
    Noisy: examples_of_noisy,
    Emerging: examples_of_emerging,
}


def classes(of: type[Likelihood] = Likelihood) -> set[type[Likelihood]]:
    """Every likelihood of the package, also those that `__init__` does not name."""
    for module in pkgutil.iter_modules(likelihoods.__path__, f"{likelihoods.__name__}."):
        importlib.import_module(module.name)
    own = {of} if of.__module__.startswith("scalebayes.") and not inspect.isabstract(of) else set()
    return own.union(*map(classes, of.__subclasses__()))


CASES = [(c, k) for c in EXAMPLES for k in SHARING]


@pytest.fixture(params=CASES, ids=lambda p: f"{p[0].__name__}, {p[1]}")
def example(request: pytest.FixtureRequest) -> Any:
    with jax.enable_x64(True):
        of, name = request.param
        yield EXAMPLES[of]()[name]


def offers(likelihood: Likelihood, value: Any) -> dict[str, Any]:
    """All that the protocol offers, at values that are levels too."""
    key, again = jax.random.key(5), likelihood.given(value)
    return {
        "mean": likelihood.mean,
        "log_prob": likelihood.log_prob(value),
        "of_models": likelihood.of_models(value),
        "pointwise": likelihood.pointwise(value),
        "marginal": likelihood.marginal.log_prob(value),
        "given": (again.mean, again.marginal.log_prob(value)),
        "above": likelihood.above(value),
        "all_above": likelihood.all_above(value, key),
        "sample": likelihood.sample(key),
    }


everything = jit(offers, briefly=True)


@functools.partial(jit, briefly=True)
def log_densities(likelihood: Likelihood, grid: Any) -> Any:
    return jax.vmap(likelihood.marginal.log_prob)(grid)


@functools.partial(jit, briefly=True)
def all_above(likelihood: Likelihood, level: Any, keys: Any) -> Any:
    return jax.vmap(lambda key: likelihood.all_above(level, key))(keys)


@functools.lru_cache
def drawn(of: type[Likelihood], name: str) -> np.ndarray:
    likelihood = EXAMPLES[of]()[name].likelihood
    return np.asarray(jax.jit(lambda v, key: v.sample(key, (N,)))(likelihood, jax.random.key(0)))


@pytest.fixture
def draws(example: Example, request: pytest.FixtureRequest) -> np.ndarray:
    """Draws of the example, shape (N, value)."""
    return drawn(*request.node.callspec.params["example"])


def test_every_likelihood_has_an_example() -> None:
    found = classes()
    missing = sorted(c.__qualname__ for c in found - set(EXAMPLES))
    assert not missing, f"likelihoods without an example: {missing}; add them to EXAMPLES here"
    assert set(EXAMPLES) == found


def test_the_joint_density_is_that_of_each_model_apart(example: Example) -> None:
    likelihood, value = example.likelihood, example.value
    found = everything(likelihood, value)
    joint = np.asarray(found["of_models"])
    assert joint.shape == (4,)
    assert found["log_prob"].shape == ()
    assert joint[3] == 0
    assert joint.sum() == pytest.approx(float(found["log_prob"]), rel=1e-12)
    for m in range(3):
        alone = everything(likelihood.observing(SEEN & (m == MODEL)), value)
        assert float(alone["log_prob"]) == pytest.approx(joint[m], rel=1e-12)
        changed = np.asarray(everything(likelihood, value + 0.01 * (m == MODEL))["of_models"])
        np.testing.assert_array_equal(np.delete(changed, m), np.delete(joint, m))
        assert changed[m] != joint[m]


def test_hidden_values_do_not_enter(example: Example) -> None:
    other = np.where(SEEN, example.value, [0.9, -0.3] * 5)
    one, same = (everything(example.likelihood, v) for v in (example.value, other))
    for member in ("log_prob", "of_models"):
        np.testing.assert_array_equal(one[member], same[member])
    np.testing.assert_array_equal(one["pointwise"][SEEN], same["pointwise"][SEEN])
    np.testing.assert_array_equal(same["pointwise"][~SEEN], same["marginal"][~SEEN])
    np.testing.assert_array_equal(one["given"][0], same["given"][0])


def test_conditional_densities_are_ratios_of_joint_ones(example: Example) -> None:
    """Of a value that is observed, and of one that is not: another evaluation does not know its noise."""
    found = everything(example.likelihood, example.value)
    conditional = np.where(SEEN, found["pointwise"], found["given"][1])
    assert example.whole[SEEN].sum() >= 3
    assert example.whole[~SEEN].sum() >= 2
    for n in np.flatnonzero(example.whole):
        own = np.arange(len(SEEN)) == n
        with_it, without = (
            float(everything(example.likelihood.observing(seen), example.value)["log_prob"])
            for seen in (SEEN | own, SEEN & ~own)
        )
        assert conditional[n] == pytest.approx(with_it - without, rel=1e-9, abs=1e-9)


def test_another_evaluation_is_like_that_of_a_twin(example: Example) -> None:
    again = example.likelihood.given(example.value)
    assert type(again) is type(example.likelihood)
    assert not np.asarray(again.observed).any()
    found = everything(again, example.value)
    mean, density = found["mean"], found["marginal"]
    np.testing.assert_allclose(mean[:, 0], mean[:, 3], rtol=1e-12)
    np.testing.assert_allclose(density[COLUMN == 0], density[COLUMN == 3], rtol=1e-12)
    nothing = everything(example.likelihood.observing(np.zeros(10, bool)), example.value)
    np.testing.assert_allclose(nothing["given"][0], nothing["mean"], rtol=1e-12)


def mass(example: Example, level: np.ndarray) -> np.ndarray:
    """Integral of the density of each value above a level, by the trapezoidal rule either side of the jump."""

    def between(low: Any, high: Any) -> Any:
        grid = np.linspace(low, high, 20_001)
        return np.trapezoid(np.exp(log_densities(example.likelihood, grid)), grid, axis=0)

    below = between(np.minimum(level, example.jump), example.jump)
    return below + between(np.maximum(level, example.jump) + 1e-12, np.full(10, 2.0))


@pytest.mark.parametrize("off", [-0.03, 0.0, 0.03])
def test_exceedance_is_an_integral_of_the_density_and_a_frequency(
    example: Example, draws: np.ndarray, off: float
) -> None:
    level = example.jump + off
    above = np.asarray(everything(example.likelihood, level)["above"])
    np.testing.assert_allclose(above, mass(example, level), atol=1e-6)
    np.testing.assert_allclose(mass(example, np.full(10, -1.0)), 1.0, atol=1e-6)
    error = np.sqrt(above * (1 - above) / N)
    assert (np.abs((draws > level).mean(axis=0) - above) <= SIGMAS * error).all()
    assert np.isnan(everything(example.likelihood, np.full(10, np.nan))["above"]).all()


@pytest.mark.parametrize("off", [-0.04, 0.0, 0.02])
def test_joint_exceedance_is_a_frequency(example: Example, draws: np.ndarray, off: float) -> None:
    """The mean over keys, which have no error of their own where nothing is shared."""
    level = np.asarray(everything(example.likelihood, example.value)["mean"])[MODEL, COLUMN] + off
    level[[1, 9]] = np.nan  # model 3 has no level
    keys = jax.random.split(jax.random.key(1), 400)
    each = np.asarray(all_above(example.likelihood, level, keys))
    assert each.shape == (400, 4)
    reached = (draws > level) | np.isnan(level)
    frequency = np.array([reached[:, m == MODEL].all(axis=1).mean() for m in range(4)])
    error = np.hypot(each.std(axis=0) / 20, np.sqrt(frequency * (1 - frequency) / N))
    assert (np.abs(each.mean(axis=0) - frequency) <= SIGMAS * error + 1e-12).all()
    assert frequency[3] == 1
    assert 0.02 < frequency[0] < 0.98


def test_draws_have_the_expected_mean_and_models_are_independent(
    example: Example, draws: np.ndarray
) -> None:
    mean = np.asarray(everything(example.likelihood, example.value)["mean"])
    assert mean.shape == (4, 4)
    assert draws.shape == (N, 10)
    error = draws.std(axis=0) / np.sqrt(N)
    assert (np.abs(draws.mean(axis=0) - mean[MODEL, COLUMN]) < SIGMAS * error).all()
    apart = MODEL[:, None] != MODEL
    assert np.abs(np.corrcoef(draws.T))[apart].max() < SIGMAS / np.sqrt(N)
    few = jax.eval_shape(lambda: example.likelihood.sample(jax.random.key(0), (2, 3)))
    assert few.shape == (2, 3, 10)


def test_observing_changes_what_is_observed_alone(example: Example) -> None:
    other = example.likelihood.observing(~SEEN)
    assert type(other) is type(example.likelihood)
    np.testing.assert_array_equal(other.observed, ~SEEN)
    one, found = (everything(v, example.value) for v in (example.likelihood, other))
    for member in ("mean", "marginal", "above", "all_above", "sample"):
        np.testing.assert_array_equal(found[member], one[member])
    assert not np.isclose(found["log_prob"], one["log_prob"])
    back = everything(other.observing(SEEN), example.value)
    jax.tree.map(np.testing.assert_array_equal, back, one)


def test_all_is_the_same_for_several_at_once(example: Example) -> None:
    """As elements of arrays, which `everything` takes through compilation."""
    likelihood, value = example.likelihood, example.value
    scaled = jax.tree.map(lambda v: v * 1.1 if v.dtype == float else v, likelihood)
    apart = [everything(v, value) for v in (likelihood, scaled)]
    expected = jax.tree.map(lambda *v: np.stack(v), *apart)
    both = jax.tree.map(lambda *v: jnp.stack(v), likelihood, scaled)
    together = jit(jax.vmap(offers, (0, None)), briefly=True)(both, value)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), together, expected)
    assert not np.isclose(*together["log_prob"])


def test_gradients_are_finite_at_the_ends_and_the_jump(example: Example) -> None:
    @functools.partial(jit, briefly=True)
    def slopes(likelihood: Likelihood, value: Any) -> Any:  # in all arrays of both
        of = jax.grad(lambda v, y: v.log_prob(y), argnums=(0, 1), allow_int=True)
        each = jax.grad(lambda v, y: v.pointwise(y).sum(), argnums=(0, 1), allow_int=True)
        found = jax.tree.leaves((of(likelihood, value), each(likelihood, value)))
        return [g for g in found if g.dtype == float]

    for value in (np.zeros(10), np.ones(10), example.jump):
        gradients = slopes(example.likelihood, value)
        assert len(gradients) >= 8
        assert all(np.isfinite(g).all() for g in gradients)
        assert sum(np.abs(g).sum() for g in gradients) > 0
