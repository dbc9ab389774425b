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
from scalebayes.inference.diagnostics import MIN_ESS
from scalebayes.inference.metric import with_one_mass, with_one_step_size
from scalebayes.inference.sampling import Sampled, site_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.inference.sampling import Judge
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

FEW_ITERATIONS = 400
"""Largest number of iterations, over all chains, for which the program is compiled to run briefly."""

MIN_DRAWS_TO_RETRY = 4 * MIN_ESS
"""Fewest draws over all chains that are worth a retry: with fewer, the effective draws hardly reach `MIN_ESS`."""


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
        retries: How often the chains go on where a convergence check fails: with the metric of all draws so far, a
            target acceptance closer to one after divergences, and twice the iterations, of which every second is
            kept. With two retries a fit takes at most about seven times the iterations. A fit of fewer than
            `MIN_DRAWS_TO_RETRY` draws over all chains is a quick look and is not retried.

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
    retries: int = 2

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
        if not isinstance(self.retries, int) or self.retries < 0:
            raise ValueError(f"retries must be a whole number, 0 or more, but is {self.retries!r}")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept must lie between 0 and 1, but is {self.target_accept}")
        if self.chain_method not in ("auto", "threads", "vectorized"):
            raise ValueError(
                f"chain_method must be auto, threads or vectorized, but is {self.chain_method!r}"
            )

    def sample(
        self,
        law: Law,
        design: Design,
        *,
        seed: int,
        progress: bool,
        judge: Judge | None = None,
    ) -> Sampled:
        """Run the chains; see `Sampler.sample`.

        Raises:
            ValueError: If chain_method is `vectorized` on a CPU.
        """
        if self.chain_method == "vectorized" and jax.default_backend() == "cpu":
            raise ValueError(
                "chain_method='vectorized' needs a GPU, on a CPU chains can deadlock: leave out chain_method"
            )
        target = self.target_accept
        worth = self.chains > 1 and self.chains * self.draws >= MIN_DRAWS_TO_RETRY
        with Chains(law, design, self, seed, progress) as chains:
            sampled = chains.first()
            for n in range(self.retries if worth else 0):
                if judge is None or (verdict := judge(sampled)).passed:
                    break
                if verdict.divergences:
                    target = 1 - (1 - target) / 4
                sampled = chains.again(sampled, target, thin=2 ** (n + 1))
        return sampled


class Chains:
    """The chains of one fit, which can go on after their draws were judged."""

    def __init__(self, law: Law, design: Design, settings: Nuts, seed: int, progress: bool) -> None:
        self.law, self.settings, self.data = law, settings, design.unnamed()
        self.vectorized = settings.chain_method == "vectorized" or (
            settings.chain_method == "auto" and jax.default_backend() != "cpu"
        )
        self.axis = 1 if self.vectorized else 0
        shapes = site_shapes(law, design)
        self.start, self.advance = compiled_chain(
            self.vectorized,
            settings.chains * (settings.warmup + settings.draws) <= FEW_ITERATIONS,
            law,
            settings.max_tree_depth,
            tuple(sorted(dense_sites(law, design, shapes))),
        )
        keys = jax.random.split(jax.random.key(seed), settings.chains)
        rng = np.random.default_rng(seed)  # faster than to compile a generator for each site
        shift = {
            name: rng.uniform(-1.0, 1.0, (settings.chains, *shape))
            for name, shape in shapes.items()
        }
        self.starts: list[Any] = [(keys, shift)]
        if not self.vectorized:
            self.starts = [(key, {k: v[i] for k, v in shift.items()}) for i, key in enumerate(keys)]
        self.metric = (
            law.reflection(design),
            [name for name, declared in law.sites.items() if declared.even and name in shapes],
        )
        self.target = settings.target_accept
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not progress,
            transient=True,
        )
        self.pool = ThreadPoolExecutor(min(len(self.starts), os.cpu_count() or 1))
        self.states: Sequence[Any] = []

    def __enter__(self) -> Chains:
        self.bar.start()
        self.pool.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.pool.__exit__(*error)
        self.bar.stop()

    def first(self) -> Sampled:
        """Start the chains, adapt them and draw."""
        warmup, draws = self.settings.warmup, self.settings.draws
        self._tell("compiling", warmup + draws)
        self.states = [self.start(*start, self.data) for start in self.starts]
        # compile once, before the threads start
        jax.block_until_ready(self.advance(self.states[0], self.data, 0, self.target))
        windows = build_adaptation_schedule(warmup)
        for number, window in enumerate(windows):
            phase = 2 if number == len(windows) - 1 else min(number, 1)
            kept = self._adapt(phase, window.end - window.start + 1)
            if phase == 1:  # chains adapt mass matrices
                self.states = with_one_mass(self.states, kept["z"], *self.metric)
        return self._draw(1)

    def again(self, sampled: Sampled, target: float, thin: int) -> Sampled:
        """Go on with the metric of earlier draws, after a short warmup, and keep one in `thin` iterations."""
        self.target = target
        short = max(self.settings.warmup // 4, CHUNK)
        self._tell(f"again, target_accept {target:.3f}", 2 * short + thin * self.settings.draws)
        self._adapt(1, short)  # NumPyro's own estimate at its end is replaced
        self.states = with_one_mass(self.states, sampled.z, *self.metric)
        self._adapt(2, short)
        return self._draw(thin)

    def _adapt(self, phase: int, length: int) -> dict[str, Any]:
        """Run `length` iterations that end a phase of the warmup."""
        self.states = [in_phase(state, phase, length) for state in self.states]
        return self._run(length)

    def _draw(self, thin: int) -> Sampled:
        """Draw with one step size; all statistics are of kept iterations, divergences and saturated trees of all."""
        self.states = with_one_step_size(self.states)
        found = self._run(thin * self.settings.draws)
        depth = np.floor(np.log2(found["n_steps"])).astype(int) + 1
        every = {**found, "saturated": depth >= self.settings.max_tree_depth}
        kept: dict[str, Any] = jax.tree.map(lambda v: v[:, thin - 1 :: thin], every)
        for name in ("diverging", "saturated"):
            kept[name] = every[name].reshape(*kept[name].shape, thin).any(axis=2)
        return Sampled(**kept)

    def _tell(self, what: str, iterations: int) -> None:
        self.task = self.bar.add_task(what, total=iterations * self.settings.chains)

    def _run(self, n: int) -> dict[str, Any]:
        """Advance all chains by n iterations; arrays with leading dimensions (chain, iteration)."""
        count = [n] * len(self.states)
        self.states, kept = zip(*self.pool.map(self._chunks, self.states, count), strict=True)
        return kept[0] if self.vectorized else jax.tree.map(lambda *v: np.stack(v), *kept)

    def _chunks(self, state: Any, n_total: int) -> tuple[Any, dict[str, Any]]:
        """Advance one program by n_total iterations, in chunks."""
        kept, done = [], 0
        n_chain = self.settings.chains if self.vectorized else 1
        with jax.enable_x64(self.settings.x64):  # the choice is per thread
            while done < n_total:
                n = min(CHUNK, n_total - done)
                state, chunk = self.advance(state, self.data, n, self.target)
                kept.append(jax.tree.map(lambda v: np.take(v, range(n), self.axis), chunk))  # noqa: B023
                done += n
                self.bar.update(self.task, advance=n * n_chain)
        return state, jax.tree.map(lambda *v: np.concatenate(v, self.axis), *kept)
