"""Nuts: the No-U-Turn Sampler, with a mass matrix and a step size shared by all chains.

`scalebayes.inference.chain` has the programs of one chain. At the end of each window of the warmup all chains
take one mass matrix, estimated from the draws of all chains: the dense block of a law has about a hundred
dimensions, and a single chain has too few draws for it. For a law with mirrored modes the draws of other
chains are first reflected to a chain's own mode. After the warmup all chains share one step size.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np
from numpyro.infer.hmc_util import build_adaptation_schedule
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scalebayes.inference.chain import CHUNK, compiled_chain, dense_sites, in_phase
from scalebayes.inference.metric import with_one_mass, with_one_step_size
from scalebayes.inference.sampling import Sampled, site_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

FEW_ITERATIONS = 400
"""Largest number of iterations, over all chains, for which the program is compiled to run briefly."""


@dataclass(frozen=True)
class Nuts:
    """The No-U-Turn Sampler, with one mass matrix for all chains.

    Attributes:
        draws: Draws per chain after the warmup.
        warmup: Iterations per chain that adapt step size and mass matrix; they are discarded.
        chains: Number of chains.
        target_accept: Target of the mean acceptance probability, in (0, 1).
        max_tree_depth: Trajectories have at most 2**max_tree_depth leapfrog steps.
        x64: Whether to compute in double precision. Single precision is meant for GPUs.
        chain_method: `threads`, one chain per core; `vectorized`, all chains in one program, on a GPU only; or
            `auto`, threads on a CPU and vectorized on a GPU.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> import scalebayes as sb
        >>> sb.Nuts(draws=500, target_accept=0.95).warmup
        1000

    References:
        Hoffman and Gelman, The No-U-Turn Sampler, https://arxiv.org/abs/1111.4246
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
        """True: the draws are from the joint posterior."""
        return True

    def __post_init__(self) -> None:
        """Check the settings."""
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
            ValueError: If chain_method is `vectorized` on a CPU.
        """
        if self.chain_method == "vectorized" and jax.default_backend() == "cpu":
            raise ValueError(
                "chain_method='vectorized' needs a GPU, on a CPU chains can deadlock: leave out chain_method"
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
        settings.chains * (settings.warmup + settings.draws) <= FEW_ITERATIONS,
        law,
        settings.target_accept,
        settings.max_tree_depth,
        tuple(sorted(dense_sites(law, design, shapes))),
    )
    keys = jax.random.split(jax.random.key(seed), settings.chains)
    rng = np.random.default_rng(seed)  # faster than to compile a generator for each site
    shift = {
        name: rng.uniform(-1.0, 1.0, (settings.chains, *shape)) for name, shape in shapes.items()
    }
    runs: list[Any] = [(keys, shift)]
    if not vectorized:
        runs = [(key, {k: v[i] for k, v in shift.items()}) for i, key in enumerate(keys)]
    windows = build_adaptation_schedule(settings.warmup)
    data = design.unnamed()
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
            """Advance one program by n_total iterations, in chunks."""
            kept, done = [], 0
            with jax.enable_x64(settings.x64):  # the choice is per thread
                while done < n_total:
                    n = min(CHUNK, n_total - done)
                    state, chunk = advance(state, data, n)
                    kept.append(jax.tree.map(lambda v: np.take(v, range(n), axis), chunk))  # noqa: B023
                    done += n
                    bar.update(task, advance=n, description="sampling")
            return state, jax.tree.map(lambda *v: np.concatenate(v, axis), *kept)

        states: Sequence[Any] = [start(*run, data) for run in runs]
        jax.block_until_ready(advance(states[0], data, 0))  # compile once, before the threads start
        for number, window in enumerate(windows):
            length = window.end - window.start + 1
            phase = 2 if number == len(windows) - 1 else min(number, 1)
            states = [in_phase(state, phase, length) for state in states]
            states, kept = zip(*pool.map(run, states, [length] * len(runs)), strict=True)
            if phase == 1:  # chains adapt mass matrices
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
