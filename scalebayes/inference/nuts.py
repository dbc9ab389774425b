"""NUTS on a law and a design, all chains adapting together.

NumPyro's kernel does the sampling. Two things are ours. Data and mask are arguments of the compiled
program, so that one compilation serves every fit of a law to tables of one shape. And at the end of
each window of the warmup all chains take over one mass matrix, estimated from the draws of all: the
dense block of a law has some hundred dimensions, for which the draws of a single chain are too few.
Where a law has mirrored modes, the draws of the others are first reflected to a chain's own side.
After it they also share one step size.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer import NUTS
from numpyro.infer.hmc_util import build_adaptation_schedule
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scalebayes.inference.compilation import MAX_PROGRAMS
from scalebayes.inference.metric import with_one_mass, with_one_step_size
from scalebayes.inference.sampling import Sampled, site_shapes
from scalebayes.model.effects import local_dim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

CHUNK = 50
"""Iterations between two visits to Python: often enough for a progress bar, seldom enough to be free."""

MAX_DENSE_FAMILIES = 4
"""Up to so many families have effects whose correlations are learned like those of population parameters."""

WARMUP_TREE_DEPTH = 7
"""Largest tree depth of the warmup, where deep trees with a step size not yet adapted are wasted."""


@dataclass(frozen=True)
class Nuts:
    """The No-U-Turn Sampler, with one metric for all chains.

    Attributes:
        draws: Draws kept per chain.
        warmup: Iterations per chain that adapt step size and mass matrix, not kept.
        chains: Number of chains.
        target_accept: Mean acceptance probability that the step size is adapted to.
        max_tree_depth: Trajectories have at most 2**max_tree_depth steps.
        x64: Whether to compute in double precision. Single precision is for a GPU.
        chain_method: `threads`, one chain a core, `vectorized`, all in one program (on a GPU only), or
            `auto`: threads on a CPU.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> Nuts(draws=500).warmup
        1000
    """

    draws: int = 1000
    warmup: int = 1000
    chains: int = 4
    target_accept: float = 0.9
    max_tree_depth: int = 10
    x64: bool = True
    chain_method: Literal["auto", "threads", "vectorized"] = "auto"

    @property
    def joint(self) -> bool:
        """The draws are of the posterior given all data at once."""
        return True

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled."""
        for name in ("draws", "warmup", "chains", "max_tree_depth"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, but is {value!r}")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept must lie between 0 and 1, but is {self.target_accept}")
        if self.chain_method not in ("auto", "threads", "vectorized"):
            raise ValueError(
                f"chain_method must be auto, threads or vectorized, but is {self.chain_method!r}"
            )

    def sample(self, law: Law, design: Design, *, seed: int, progress: bool) -> Sampled:
        """Run the chains; see `Sampler.sample`.

        Raises:
            ValueError: If vectorized chains are asked of a CPU.
        """
        if self.chain_method == "vectorized" and jax.default_backend() == "cpu":
            raise ValueError(
                "vectorized chains are for a GPU, on a CPU they can wait for one another: leave out chain_method"
            )
        return run_chains(law, design, self, seed, progress)


def run_chains(law: Law, design: Design, settings: Nuts, seed: int, progress: bool) -> Sampled:
    """Run the chains of `Nuts.sample`."""
    vectorized = settings.chain_method == "vectorized" or (
        settings.chain_method == "auto" and jax.default_backend() != "cpu"
    )
    axis = 1 if vectorized else 0
    shapes = site_shapes(law, design)
    start, advance = compiled_chain(
        vectorized,
        law,
        settings.warmup,
        settings.target_accept,
        settings.max_tree_depth,
        tuple(sorted(dense_sites(law, design, shapes))),
    )
    keys = jax.random.split(jax.random.key(seed), settings.chains)
    rng = np.random.default_rng(seed)  # a compiled generator for each site takes longer
    shift = {
        name: rng.uniform(-1.0, 1.0, (settings.chains, *shape)) for name, shape in shapes.items()
    }
    runs: list[Any] = [(keys, shift)]
    if not vectorized:
        runs = [(key, {k: v[i] for k, v in shift.items()}) for i, key in enumerate(keys)]
    windows = build_adaptation_schedule(settings.warmup)
    even = [name for name, declared in law.sites.items() if declared.even and name in shapes]

    with (
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not progress,
            transient=True,
        ) as bar,
        ThreadPoolExecutor(min(len(runs), os.cpu_count() or 1)) as pool,
    ):
        total = (settings.warmup + settings.draws) * len(runs)
        task = bar.add_task("compiling", total=total)

        def run(state: Any, n_total: int) -> tuple[Any, dict[str, Any]]:
            """Advance one program by some iterations, with a visit to Python after each chunk."""
            kept, done = [], 0
            with jax.enable_x64(settings.x64):  # the choice is per thread
                while done < n_total:
                    n = min(CHUNK, n_total - done)
                    state, chunk = advance(state, design, n)
                    kept.append(jax.tree.map(lambda v: np.take(v, range(n), axis), chunk))  # noqa: B023
                    done += n
                    bar.update(task, advance=n, description="sampling")
            return state, jax.tree.map(lambda *v: np.concatenate(v, axis), *kept)

        states: Sequence[Any] = [start(*run, design) for run in runs]
        jax.block_until_ready(advance(states[0], design, 0))  # compile once, before the threads do
        for number, window in enumerate(windows):
            length = window.end - window.start + 1
            states, kept = zip(*pool.map(run, states, [length] * len(runs)), strict=True)
            if 0 < number < len(windows) - 1:  # where each chain has just adapted its own
                z = _joined(kept, vectorized)["z"]
                states = with_one_mass(states, z, law.reflection(design), even)
        states = with_one_step_size(states)
        _, kept = zip(*pool.map(run, states, [settings.draws] * len(runs)), strict=True)
    found = _joined(kept, vectorized)
    depth = np.floor(np.log2(found["n_steps"])).astype(int) + 1
    return Sampled(saturated=depth >= settings.max_tree_depth, **found)


def _joined(kept: tuple[dict[str, Any], ...], vectorized: bool) -> dict[str, Any]:
    """Draws of all chains, each array with leading dimensions (chain, draw)."""
    return kept[0] if vectorized else jax.tree.map(lambda *v: np.stack(v), *kept)


def _near_prior_means(law: Law, design: Design, shift: dict[str, Any]) -> dict[str, Any]:
    """Where a chain starts: prior means moved by so many standard deviations, all unconstrained.

    Chains start apart, and in contrast to the medians of prior draws there is little to compile.
    """
    start = {}

    def value(site: dict[str, Any]) -> Any:
        name = site["name"]
        if name not in shift:
            return None
        fn = site["fn"]
        to_support = biject_to(fn.support)
        shape = jnp.shape(shift[name])
        mean, sd = (jnp.broadcast_to(1.0 * v, shape) for v in (fn.mean, jnp.sqrt(fn.variance)))
        centre, sd = jax.jvp(to_support.inv, (mean,), (sd,))
        known = jnp.isfinite(centre) & jnp.isfinite(sd)  # a heavy-tailed prior has no moments
        start[name] = jnp.where(known, centre, 0.0) + jnp.where(known, sd, 1.0) * shift[name]
        return to_support(start[name])

    handlers.trace(handlers.substitute(handlers.seed(law, 0), substitute_fn=value)).get_trace(
        design
    )
    return start


@functools.lru_cache(maxsize=MAX_PROGRAMS)
def _program(
    law: Law, warmup: int, target_accept: float, max_tree_depth: int, dense: tuple[str, ...]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compiled start and advance of one chain; data and mask are arguments."""
    kernel = NUTS(
        law,
        target_accept_prob=target_accept,
        max_tree_depth=(min(max_tree_depth, WARMUP_TREE_DEPTH), max_tree_depth),
        dense_mass=[dense],
    )

    def start(key: jax.Array, shift: dict[str, Any], design: Design) -> Any:
        return kernel.init(key, warmup, _near_prior_means(law, design, shift), (design,), {})

    def advance(state: Any, design: Design, n: jax.Array) -> Any:
        def step(i: jax.Array, carry: Any) -> Any:
            state, kept = carry
            state = kernel.sample(state, (design,), {})
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
def compiled_chain(vectorized: bool, *key: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The compiled start and advance of one chain, or of all at once; for the key see `_program`."""
    start, advance = _program(*key)
    if vectorized:
        start, advance = jax.vmap(start, (0, 0, None)), jax.vmap(advance, (0, None, None))
    return jax.jit(start), jax.jit(advance)


def dense_sites(law: Law, design: Design, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Names of the sampled sites whose correlations are learned: all that do not grow with the data.

    The effects of families are among them where families are few.
    """
    learned = {None, "family"} if len(design.labels("family")) <= MAX_DENSE_FAMILIES else {None}
    return {name for name in shapes if local_dim(law, name) in learned}
