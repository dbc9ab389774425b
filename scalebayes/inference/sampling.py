"""Sampler: the interface of samplers, and Sampled, their result."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.inference.diagnostics import Verdict
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


class Sampled(NamedTuple):
    """Draws and statistics of a sampler; every array has leading dimensions (chain, draw).

    Attributes:
        z: Draws of each sampled site on the unconstrained scale.
        lp: Log density of the posterior at each draw, up to a constant, on the unconstrained scale.
        energy: Total energy (potential and kinetic) of the trajectory.
        diverging: Whether the trajectory diverged.
        n_steps: Leapfrog steps of the trajectory.
        saturated: Whether the trajectory reached the largest tree depth.
        acceptance_rate: Mean acceptance probability along the trajectory.
        step_size: Step size.
    """

    z: dict[str, np.ndarray]
    lp: np.ndarray
    energy: np.ndarray
    diverging: np.ndarray
    n_steps: np.ndarray
    saturated: np.ndarray
    acceptance_rate: np.ndarray
    step_size: np.ndarray

    @property
    def stats(self) -> dict[str, np.ndarray]:
        """The statistics under ArviZ's names."""
        own = self._asdict()
        del own["z"]
        return {"reached_max_treedepth" if k == "saturated" else k: v for k, v in own.items()}


Judge: TypeAlias = "Callable[[Sampled], Verdict]"
"""A check of draws for convergence."""


class Sampler(Protocol):
    """A frozen dataclass of settings that samples the posterior of a law.

    Attributes:
        x64: Whether to compute in double precision.
        joint: Whether the draws are from the joint posterior given all data, whose density is known up to a constant.
    """

    @property
    def joint(self) -> bool:
        """Whether the draws are from the joint posterior given all data."""

    @property
    def x64(self) -> bool:
        """Whether to compute in double precision."""

    def sample(
        self,
        law: Law,
        design: Design,
        *,
        seed: int,
        progress: bool,
        judge: Judge | None = None,
    ) -> Sampled:
        """Draw from the posterior; the same seed gives the same draws.

        Args:
            law: The law.
            design: The data.
            seed: Seed of all random numbers.
            progress: Whether to show a progress bar on standard error.
            judge: Checks draws for convergence, so that a sampler can go on where a check fails; a sampler need
                not call it.
        """


def sampler_specification(sampler: Any) -> dict[str, Any]:
    """The settings of a sampler, a dataclass, as JSON-ready values with the name of its class."""
    values = {f.name: getattr(sampler, f.name) for f in dataclasses.fields(sampler)}
    return {
        "sampler": type(sampler).__name__,
        **{
            k: sampler_specification(v) if dataclasses.is_dataclass(v) else v
            for k, v in values.items()
        },
    }


def site_shapes(law: Law, design: Design) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the sampled sites."""

    def values(design: Design) -> dict[str, Any]:
        trace = handlers.trace(handlers.seed(law, 0)).get_trace(design)
        sites = {k: s for k, s in trace.items() if s["type"] == "sample" and not s["is_observed"]}
        return {k: jnp.asarray(s["value"]) for k, s in sites.items()}

    found = jax.eval_shape(values, design)  # shapes only, without random numbers
    return {name: value.shape for name, value in found.items()}
