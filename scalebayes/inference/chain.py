"""One chain of the No-U-Turn Sampler as compiled programs: start and advance.

The kernel is NumPyro's. Data, mask and target acceptance are arguments of the programs, so that fits of a law to
tables of one shape share them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from numpyro.infer.hmc import hmc
from numpyro.infer.hmc_util import build_adaptation_schedule
from numpyro.infer.util import ParamInfo, potential_energy

from scalebayes.inference.compilation import MAX_PROGRAMS, jit
from scalebayes.inference.initial_values import near_prior_means
from scalebayes.model.effects import local_dim
from scalebayes.model.law import at_current_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

CHUNK = 50
"""Iterations per call of the compiled program; the progress bar advances after each call."""

MAX_DENSE_FAMILIES = 4
"""Largest number of families whose effects are in the dense block of the mass matrix."""

WARMUP_TREE_DEPTH = 7
"""Largest tree depth of the warmup: deep trees are wasteful before the step size is adapted."""

PHASES = build_adaptation_schedule(150)
"""The shortest schedule of a warmup with three windows: step size, then mass matrix too, then step size again.

The compiled program knows this schedule only. A warmup of any length and number of windows is run on it: before
each window the chain's clock is set so that its phase ends when the window does.
"""


def in_phase(state: Any, phase: int, length: int) -> Any:
    """The state of a chain that `length` iterations will bring to the end of a phase of the warmup."""
    first = PHASES[phase].end + 1 - length
    window = jnp.full_like(state.adapt_state.window_idx, phase)
    return state._replace(
        i=jnp.full_like(state.i, first),
        adapt_state=state.adapt_state._replace(window_idx=window),
    )


@functools.lru_cache(maxsize=MAX_PROGRAMS)
def _program(
    law: Law, max_tree_depth: int, dense: tuple[str, ...]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Start and advance of one chain; data, mask, target acceptance and the length of the warmup are arguments."""

    def story(design: Design) -> None:
        at_current_precision(law)(design)

    def potential(design: Design) -> Callable[..., Any]:
        return functools.partial(potential_energy, story, (design,), {})

    init, sample = hmc(potential_fn_gen=potential, algo="NUTS")

    def begin(z: Any, key: jax.Array, design: Design, target_accept: jax.Array | float) -> Any:
        return init(
            z,
            num_warmup=PHASES[-1].end + 1,
            rng_key=key,
            dense_mass=[dense],
            target_accept_prob=target_accept,
            max_tree_depth=(min(max_tree_depth, WARMUP_TREE_DEPTH), max_tree_depth),
            model_args=(design,),
        )

    def start(key: jax.Array, shift: dict[str, Any], design: Design) -> Any:
        # the key is split as NumPyro's NUTS does, whose draws these are; the state does not depend on the target
        z = near_prior_means(story, design, shift)
        return begin(z, jax.random.split(key)[0], design, 0.5)

    def advance(state: Any, design: Design, n: jax.Array, target_accept: jax.Array) -> Any:
        known = ParamInfo(state.z, state.potential_energy, state.z_grad)
        begin(known, state.rng_key, design, target_accept)  # tells the kernel the target

        def step(i: jax.Array, carry: Any) -> Any:
            state, kept = carry
            state = sample(state, (design,))
            return state, jax.tree.map(lambda k, v: k.at[i].set(v), kept, _kept(state))

        room = jax.tree.map(
            lambda v: jnp.zeros((CHUNK, *jnp.shape(v)), jnp.result_type(v)), _kept(state)
        )
        return jax.lax.fori_loop(0, n, step, (state, room))

    return start, advance


def _kept(state: Any) -> dict[str, Any]:
    return {
        "z": state.z,
        "diverging": state.diverging,
        "n_steps": state.num_steps,
        "energy": state.energy,
        "acceptance_rate": state.accept_prob,
        "lp": -state.potential_energy,
        "step_size": state.adapt_state.step_size,
    }


@functools.lru_cache(maxsize=MAX_PROGRAMS)
def compiled_chain(
    vectorized: bool, briefly: bool, *key: Any
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The compiled start and advance of one chain, or of all at once; for the key see `_program`."""
    start, advance = _program(*key)
    if vectorized:
        start, advance = jax.vmap(start, (0, 0, None)), jax.vmap(advance, (0, None, None, None))
    return jit(start, briefly=True), jit(advance, briefly=briefly)


def dense_sites(law: Law, design: Design, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Names of the sampled sites in the dense block of the mass matrix: all global ones.

    Effects of families are included if there are at most `MAX_DENSE_FAMILIES` families.
    """
    learned = {None, "family"} if len(design.labels("family")) <= MAX_DENSE_FAMILIES else {None}
    return {name for name in shapes if local_dim(law, name) in learned}
