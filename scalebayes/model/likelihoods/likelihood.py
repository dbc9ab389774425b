"""The protocol of a likelihood: everything that the rest of the package asks of one.

A likelihood is the distribution of all scores, or of the logs of all losses, of a design, given the parameters
of a law. Fitting needs its density; leave-one-out needs the densities of single values and of whole models;
prediction and planning need what a model's observed values say of its other values, draws, and
probabilities of exceeding levels.

To add a likelihood:

1. Write one file here with a subclass of `Likelihood` that defines every abstract member. Python refuses to
   create an object of a class that lacks one, and names it. Name the class in `__init__`.
2. List the attributes that hold arrays, beyond `cell` and `observed`, in `pytree_data_fields`: JAX then
   carries the likelihood through `jit`, `vmap` and `grad`.
3. Register an example of it in `tests/model/test_likelihoods.py`. The contract test runs over every subclass, and fails
   for one without an example.

Shapes: a value is one score or one log loss, and a column is its benchmark or its domain. Arrays of shape
(value,) follow the order of `cell`.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import jax.numpy as jnp
from numpyro import distributions as dist
from numpyro.distributions.distribution import DistributionMeta

if TYPE_CHECKING:
    from jax import Array


class Marginal(Protocol):
    """Distributions of single values."""

    def log_prob(self, value: Array) -> Array:
        """Log density of each value on its own, shape (value,)."""


class _AbstractDistributionMeta(ABCMeta, DistributionMeta):  # type: ignore[misc]  # no types
    """The metaclass of NumPyro's distributions, with abstract members."""


class Likelihood(dist.Distribution, metaclass=_AbstractDistributionMeta):  # type: ignore[misc]
    """Distribution of the observed values of a design.

    All values are one event, of shape (value,). Values of different models are independent. Those that
    are not observed enter no density, but must be finite.

    Args:
        cell: Positions of each value's model and column, two arrays of shape (value,). No two
            values have the same position.
        observed: Which values the density is of, shape (value,).
    """

    support = dist.constraints.real_vector
    pytree_data_fields: ClassVar[tuple[str, ...]] = ("cell", "observed")

    cell: tuple[Array, Array]
    observed: Array

    def __init__(self, cell: tuple[Array, Array], observed: Array) -> None:
        self.cell, self.observed = cell, observed
        super().__init__(event_shape=jnp.shape(observed))

    @property
    @abstractmethod
    def mean(self) -> Array:
        """Expected values, observed or not, shape (model, column).

        Other than in NumPyro this is not in the shape of the event: models have expected values on
        columns too where they have no value. `mean[cell]` has the shape (value,).
        """

    @abstractmethod
    def of_models(self, value: Array) -> Array:
        """Joint log density of each model's observed values, shape (model,).

        It depends on a model's own observed values alone, and is zero for a model without any.

        Args:
            value: Shape (value,).
        """

    def log_prob(self, value: Array) -> Array:
        """Log density of the observed values, a scalar: the sum of `of_models`.

        Args:
            value: Shape (value,).
        """
        return self.of_models(value).sum()

    @abstractmethod
    def pointwise(self, value: Array) -> Array:
        """Log density of each value given its model's other observed values, shape (value,).

        A class may condition on some of the others only, and then says on which. Where a value is not
        observed, it is its marginal log density.

        Args:
            value: Shape (value,).
        """

    @abstractmethod
    def given(self, value: Array) -> Likelihood:
        """Distribution of another evaluation of the same models, given the observed values.

        What the values of a model share stays as it was, and is as certain as the observed values make it; the
        noise of single values is drawn anew. None of the new values is observed.

        Args:
            value: Shape (value,).
        """

    @property
    @abstractmethod
    def marginal(self) -> Marginal:
        """Distribution of each value when its model's others are not known."""

    @abstractmethod
    def above(self, level: Array) -> Array:
        """Probability that each value on its own exceeds its level, shape (value,).

        Args:
            level: Shape (value,); NaN gives NaN.
        """

    @abstractmethod
    def all_above(self, level: Array, key: Any) -> Array:
        """Probability that all values of a model exceed their levels, shape (model,).

        It may be a Monte Carlo estimate, whose mean over keys is the probability. All models then
        share the random numbers, so that models differ by what is expected of them alone.

        Args:
            level: Shape (value,); NaN where none is to be exceeded. A model without levels has
                probability one.
            key: Key of the random numbers.
        """

    @abstractmethod
    def observing(self, observed: Array) -> Likelihood:
        """The same distribution with another choice of the values that its density is of.

        Args:
            observed: Shape (value,).
        """

    @abstractmethod
    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw all values, observed or not, shape sample_shape + (value,)."""

    def on_grid(self, level: Array) -> Array:
        """Levels by model and column, NaN where there is none, shape (model, column).

        Args:
            level: Shape (value,).
        """
        return jnp.full(self.mean.shape, jnp.nan).at[self.cell].set(level)


def product_over_levels(probability: Array, level: Array) -> Array:
    """Product of probabilities over the columns that have a level, shape (model,).

    Args:
        probability: Shape (model, column).
        level: NaN where there is none, shape (model, column).
    """
    return jnp.where(jnp.isnan(level), 1.0, probability).prod(-1)
