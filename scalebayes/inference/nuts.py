"""Chains: NUTS on a law and a design, all chains adapting together.

NumPyro's kernel does the sampling. Two things are ours. Data and mask are arguments of the compiled
program, so that one compilation serves every fit of a law to tables of one shape. And at the end of
each window of the warmup all chains take over one mass matrix, estimated from the draws of all: the
dense block of a law has some hundred dimensions, for which the draws of a single chain are too few.
Where a law has mirrored modes, the draws of the others are first reflected to a chain's own side.
After it they also share one step size.
"""

from __future__ import annotations

import functools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer import NUTS
from numpyro.infer.hmc_util import build_adaptation_schedule
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from scipy.linalg import solve_triangular

from scalebayes.laws import LAWS
from scalebayes.model.effects import local_dim
from scalebayes.model.law import from_specification, specification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scalebayes.inference.fitting import Settings
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

CHUNK = 50
"""Iterations between two visits to Python: often enough for a progress bar, seldom enough to be free."""

FEW = 4
"""So many families have effects whose correlations are learned like those of population parameters."""

WARMUP_TREE_DEPTH = 7
"""Largest tree depth of the warmup, where deep trees with a step size not yet adapted are wasted."""


def sample_chains(law: Law, design: Design, settings: Settings, progress: bool) -> dict[str, Any]:
    """Run the chains.

    Returns:
        Unconstrained draws `z` by site, and sampler statistics; every array has leading dimensions
        (chain, draw).
    """
    vectorized = settings.chain_method == "vectorized" or (
        settings.chain_method == "auto" and jax.default_backend() != "cpu"
    )
    axis = 1 if vectorized else 0
    shapes = site_shapes(law, design)
    start, advance = _compiled(
        vectorized,
        json.dumps(specification(law)),
        settings.warmup,
        settings.target_accept,
        settings.max_tree_depth,
        tuple(sorted(dense_sites(law, design, shapes))),
    )
    keys = jax.random.split(jax.random.key(settings.seed), settings.chains)
    rng = np.random.default_rng(settings.seed)  # a compiled generator for each site takes longer
    shift = {
        name: rng.uniform(-1.0, 1.0, (settings.chains, *shape)) for name, shape in shapes.items()
    }
    runs: list[Any] = [(keys, shift)]
    if not vectorized:
        runs = [(key, {k: v[i] for k, v in shift.items()}) for i, key in enumerate(keys)]
    windows = build_adaptation_schedule(settings.warmup)
    even = getattr(law, "even", ())

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
                states = _with_one_mass(states, z, law.reflection(design), even)
        states = _with_one_step_size(states)
        _, kept = zip(*pool.map(run, states, [settings.draws] * len(runs)), strict=True)
    return _joined(kept, vectorized)


def _joined(kept: tuple[dict[str, Any], ...], vectorized: bool) -> dict[str, Any]:
    """Draws of all chains, each array with leading dimensions (chain, draw)."""
    return kept[0] if vectorized else jax.tree.map(lambda *v: np.stack(v), *kept)


def _mirrored(
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
            name: np.where((row < 0).reshape(-1, 1, *[1] * sign.ndim), sign, 1.0)
            for name, sign in reflection.items()
        }
        | {name: own * own[chain] for name, own in side.items()}
        for chain, row in enumerate(overlap)
    ]


def _with_one_mass(
    states: Sequence[Any],
    z: dict[str, np.ndarray],
    reflection: dict[str, np.ndarray],
    even: Sequence[str] = (),
) -> list[Any]:
    """The states with the mass matrix that draws z (chain, draw, ...) of all chains suggest."""
    masses = [_mass(states[0].adapt_state, z, signs) for signs in _mirrored(z, reflection, even)]
    if states[0].adapt_state.step_size.ndim:  # all chains in one program
        masses = [jax.tree.map(lambda *v: np.stack(v), *masses)]
    return [
        state._replace(adapt_state=state.adapt_state._replace(**jax.tree.map(jnp.asarray, mass)))
        for state, mass in zip(states, masses, strict=True)
    ]


def _mass(adapt: Any, z: dict[str, np.ndarray], signs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Inverse mass matrix, root and inverse root, by block of sites, from draws times signs."""
    parts: Any = {}, {}, {}
    for names, old in adapt.inverse_mass_matrix.items():
        moved = [z[name] * signs.get(name, 1.0) for name in names]
        draws = np.concatenate([v.reshape(v.shape[0] * v.shape[1], -1) for v in moved], axis=1)
        dense = old.ndim > adapt.step_size.ndim + 1
        for part, value in zip(parts, _metric(draws.astype(np.float64), dense), strict=True):
            part[names] = np.asarray(value, old.dtype)
    names = "inverse_mass_matrix", "mass_matrix_sqrt", "mass_matrix_sqrt_inv"
    return dict(zip(names, parts, strict=True))


def _with_one_step_size(states: Sequence[Any]) -> list[Any]:
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


def _metric(draws: np.ndarray, dense: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


@functools.lru_cache(maxsize=16)
def _program(
    law_json: str, warmup: int, target_accept: float, max_tree_depth: int, dense: tuple[str, ...]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compiled start and advance of one chain; data and mask are arguments."""
    law = from_specification(json.loads(law_json), LAWS)
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


@functools.lru_cache(maxsize=16)
def _compiled(vectorized: bool, *key: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    start, advance = _program(*key)
    if vectorized:
        start, advance = jax.vmap(start, (0, 0, None)), jax.vmap(advance, (0, None, None))
    return jax.jit(start), jax.jit(advance)


def dense_sites(law: Law, design: Design, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Names of the sampled sites whose correlations are learned: all that do not grow with the data.

    The effects of families are among them where families are few.
    """
    learned = {None, "family"} if len(design.labels("family")) <= FEW else {None}
    return {name for name in shapes if local_dim(law, name) in learned}


def site_shapes(law: Law, design: Design) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the sampled sites."""

    def values() -> dict[str, Any]:
        trace = handlers.trace(handlers.seed(law, 0)).get_trace(design)
        sites = {k: s for k, s in trace.items() if s["type"] == "sample" and not s["is_observed"]}
        return {k: jnp.asarray(s["value"]) for k, s in sites.items()}

    found = jax.eval_shape(values)  # which needs no random numbers
    return {name: value.shape for name, value in found.items()}
