"""fit: a law and observations to a posterior, by NUTS."""

from __future__ import annotations

import functools
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import platformdirs
from numpyro import handlers
from numpyro.infer import NUTS, init_to_median
from numpyro.infer.util import constrain_fn
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scalebayes import design as designs
from scalebayes.laws import LAWS
from scalebayes.laws.law import from_specification, specification
from scalebayes.levels import local_dim
from scalebayes.posterior import Fit, make_tree
from scalebayes.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalebayes.design import Design
    from scalebayes.laws.law import Law
    from scalebayes.observations import Observations

CHUNK = 50
"""Iterations between two visits to Python: often enough for a progress bar, seldom enough to be free."""


@dataclass(frozen=True)
class Settings:
    """How to sample.

    Attributes:
        seed: Seed of all random numbers.
        draws: Draws kept per chain.
        warmup: Iterations per chain that adapt step size and mass matrix, not kept.
        chains: Number of chains.
        target_accept: Mean acceptance probability that the step size is adapted to.
        max_tree_depth: Trajectories have at most 2**max_tree_depth steps.
        x64: Whether to compute in double precision.
        chain_method: `threads`, one chain a core, `vectorized`, all in one program (for a GPU), or
            `auto`: threads on a CPU.
    """

    seed: int
    draws: int = 1000
    warmup: int = 1000
    chains: int = 4
    target_accept: float = 0.95
    max_tree_depth: int = 10
    x64: bool = True
    chain_method: str = "auto"

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


def fit(
    law: Law,
    observations: Observations,
    *,
    seed: int,
    draws: int = 1000,
    warmup: int = 1000,
    chains: int = 4,
    target_accept: float = 0.95,
    max_tree_depth: int = 10,
    x64: bool = True,
    chain_method: str = "auto",
    hold_out: Sequence[str] = (),
    progress: bool = True,
) -> Fit:
    """Sample the posterior of a law.

    Fits of one law to tables of one shape share a compiled program: use `hold_out` to fit to a part
    of the models, and only the first fit compiles.

    Args:
        law: The law, such as `Sloth()`.
        observations: Validated tables.
        seed: Seed of all random numbers; the same seed gives the same draws.
        draws: Draws kept per chain.
        warmup: Iterations per chain that adapt the sampler, not kept.
        chains: Number of chains.
        target_accept: Mean acceptance probability that the step size is adapted to.
        max_tree_depth: Trajectories have at most 2**max_tree_depth steps.
        x64: Whether to compute in double precision. Single precision is for a GPU.
        chain_method: `threads`, `vectorized` or `auto`.
        hold_out: Models whose scores the law may not see.
        progress: Whether to show a progress bar.

    Returns:
        The fit. Its `verdict` says whether the draws can be believed; failures are also warnings.

    Raises:
        ValueError: If a setting is out of range, a model to hold out is unknown or nothing is left.
    """
    settings = Settings(
        seed, draws, warmup, chains, target_accept, max_tree_depth, x64, chain_method
    )
    held = _held_out(observations, hold_out)
    _use_compilation_cache()
    started = time.perf_counter()
    with jax.enable_x64(x64):
        design = designs.build(observations)
        if held.any():
            design = design.observing(~held)
        raw = _sample(law, design, settings, progress)
        sampled = time.perf_counter()
        sites = _evaluate(law, design, raw.pop("z"))
    timings = {"sampling": sampled - started, "evaluation": time.perf_counter() - sampled}
    provenance = {
        "settings": asdict(settings),
        "seconds": timings,
        "versions": {
            "scalebayes": __version__,
            "numpyro": numpyro.__version__,
            "jax": jax.__version__,
        },
    }
    result = Fit(
        law=law,
        observations=observations,
        held_out=tuple(dict.fromkeys(hold_out)),
        tree=make_tree(law, design, sites, raw),
        reference=design.reference,
        provenance=provenance,
    )
    result.verdict.warn()
    return result


def _held_out(observations: Observations, models: Sequence[str]) -> np.ndarray:
    if isinstance(models, str):
        raise ValueError(f"hold_out must be a list of models, but is the text {models!r}")
    known = set(observations.models["model"])
    if unknown := [m for m in models if m not in known]:
        raise ValueError(f"cannot hold out {unknown}: no such model in the observations")
    held = observations.scores["model"].isin(list(models)).to_numpy()
    if len(held) == 0 or held.all():
        raise ValueError("there are no scores to fit: the observations hold none that may be seen")
    return held


def _use_compilation_cache() -> None:
    """Keep compiled programs on disk, unless the user has chosen a place for them."""
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        cache = platformdirs.user_cache_path("scalebayes") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(cache))


@functools.lru_cache(maxsize=16)
def _program(
    law_json: str, warmup: int, target_accept: float, max_tree_depth: int, dense: tuple[str, ...]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compiled start and advance of one chain; data and mask are arguments."""
    law = from_specification(json.loads(law_json), LAWS)
    kernel = NUTS(
        law,
        target_accept_prob=target_accept,
        max_tree_depth=max_tree_depth,
        dense_mass=[dense],
        init_strategy=init_to_median,
    )

    def start(key: jax.Array, design: Design) -> Any:
        return kernel.init(key, warmup, None, (design,), {})

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
        start, advance = jax.vmap(start, (0, None)), jax.vmap(advance, (0, None, None))
    return jax.jit(start), jax.jit(advance)


def _sample(law: Law, design: Design, settings: Settings, progress: bool) -> dict[str, Any]:
    """Run the chains; every value has leading dimensions (chain, draw)."""
    vectorized = settings.chain_method == "vectorized" or (
        settings.chain_method == "auto" and jax.default_backend() != "cpu"
    )
    start, advance = _compiled(
        vectorized,
        json.dumps(specification(law)),
        settings.warmup,
        settings.target_accept,
        settings.max_tree_depth,
        tuple(sorted(global_sites(law, design))),
    )
    keys = jax.random.split(jax.random.key(settings.seed), settings.chains)
    runs: list[Any] = [keys] if vectorized else list(keys)
    total = settings.warmup + settings.draws

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress,
        transient=True,
    ) as bar:
        task = bar.add_task("compiling", total=total * len(runs))

        def run(key: jax.Array) -> dict[str, Any]:
            with jax.enable_x64(settings.x64):  # the choice is per thread
                state, kept, done = start(key, design), [], 0
                while done < total:
                    end = settings.warmup if done < settings.warmup else total
                    n = min(CHUNK, end - done)
                    state, chunk = advance(state, design, n)
                    axis = 1 if vectorized else 0
                    if done >= settings.warmup:
                        kept.append(
                            jax.tree.map(lambda v: np.take(v, range(n), axis=axis), chunk)  # noqa: B023
                        )
                    jax.block_until_ready(state.i)
                    done += n
                    bar.update(task, advance=n, description="sampling")
                return jax.tree.map(lambda *v: np.concatenate(v, axis), *kept)

        with ThreadPoolExecutor(min(len(runs), os.cpu_count() or 1)) as pool:
            chains = list(pool.map(run, runs))
    if vectorized:
        return chains[0]
    return jax.tree.map(lambda *v: np.stack(v), *chains)


def global_sites(law: Law, design: Design) -> set[str]:
    """Names of the sampled sites that do not grow with the data."""
    names: set[str] = set()

    def visit() -> None:
        trace = handlers.trace(handlers.seed(law, 0)).get_trace(design)
        names.update(
            name
            for name, site in trace.items()
            if site["type"] == "sample" and not site["is_observed"] and local_dim(law, name) is None
        )

    jax.eval_shape(visit)  # names and shapes need no random numbers
    return names


def _evaluate(law: Law, design: Design, z: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Constrained draws and what follows from them, from unconstrained ones (chain, draw, ...)."""

    def constrained(z: dict[str, Any]) -> dict[str, Any]:
        return constrain_fn(law, (design,), {}, z)

    return evaluate(law, design, jax.jit(jax.vmap(jax.vmap(constrained)))(z))


def evaluate(law: Law, design: Design, draws: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Deterministic sites, pointwise log likelihood and log prior at draws of the sampled sites.

    Args:
        law: The law.
        design: The data.
        draws: Values of the sampled sites, each with leading dimensions (chain, draw).

    Returns:
        The groups posterior, log_likelihood and log_prior, as `make_tree` takes them.
    """

    def one(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
        model = handlers.substitute(handlers.seed(law, 0), values)
        trace = handlers.trace(model).get_trace(design)
        sampled = {k: s for k, s in trace.items() if s["type"] == "sample"}
        return {
            "posterior": {
                k: s["value"]
                for k, s in trace.items()
                if s["type"] == "deterministic" or (k in sampled and not s["is_observed"])
            },
            "log_likelihood": {
                k: s["fn"].base_dist.log_prob(s["value"])
                for k, s in sampled.items()
                if s["is_observed"]
            },
            "log_prior": {
                k: s["fn"].log_prob(s["value"]).sum()
                for k, s in sampled.items()
                if not s["is_observed"]
            },
        }

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(jax.vmap(one)))(draws))
