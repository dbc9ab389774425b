"""Compiled programs: functions of one draw mapped over all draws, and the memory that they hold."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import platformdirs

from scalebayes.model.design import Design
from scalebayes.model.law import at_current_precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.model.law import Law

MAX_PROGRAMS = 16
"""Largest number of compiled programs of one kind in memory."""

BLOCK, GPU_BLOCK = 50, 1000
"""Draws per call of a program over draws, on a CPU and on a GPU."""

FEW_DRAWS = 1000
"""Largest number of draws for which a program over draws is compiled to run briefly."""


def compiled(n_mapped: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function of a law and options that returns a function of one draw.

    The decorated function returns the function of one draw compiled for all draws. Equal laws with equal
    options share a program.

    Args:
        n_mapped: How many of the first arguments of the function of one draw have a leading dimension of draws.
    """

    def decorate(build: Callable[..., Any]) -> Callable[..., Any]:
        @functools.lru_cache(maxsize=MAX_PROGRAMS)
        @functools.wraps(build)
        def program(law: Law, *options: Any) -> Callable[..., Any]:
            @functools.wraps(build)  # the name of the compiled program
            def one(*arguments: Any) -> Any:
                return build(at_current_precision(law), *options)(*arguments)

            return over_draws(one, n_mapped)

        return program

    return decorate


def over_draws(one: Callable[..., Any], n_mapped: int) -> Callable[..., Any]:
    """Compile a function of one draw for all draws: sequential on a CPU, vectorized on a GPU.

    A program takes a block of draws, and is shared by any number of them. A CPU program is not vectorized because
    batched LAPACK calls, which share the threads of JAX's pool, can deadlock: they did with JAX 0.10.2 on two
    cores.

    Args:
        one: Function of one draw and of arguments that all draws share.
        n_mapped: How many of its first arguments have a leading dimension of draws.
    """

    @functools.wraps(one)  # names the program
    def of_block(mapped: tuple[Any, ...], shared: tuple[Any, ...]) -> Any:
        if jax.default_backend() == "cpu":
            return jax.lax.map(lambda values: one(*values, *shared), mapped)
        return jax.vmap(lambda values: one(*values, *shared))(mapped)

    use_compilation_cache()
    programs = {briefly: jit(of_block, briefly=briefly) for briefly in (True, False)}

    @functools.wraps(of_block)
    def every(*arguments: Any) -> Any:
        mapped, shared = arguments[:n_mapped], arguments[n_mapped:]
        shared = tuple(v.unnamed() if isinstance(v, Design) else v for v in shared)
        n = len(jax.tree.leaves(mapped)[0])
        program = programs[n <= FEW_DRAWS]
        size = BLOCK if jax.default_backend() == "cpu" else GPU_BLOCK
        blocks = []
        for first in range(0, n, size):
            rows = np.minimum(np.arange(first, first + size), n - 1)  # the last block is filled up
            block = program(jax.tree.map(lambda v: v[rows], mapped), shared)  # noqa: B023
            blocks.append(jax.tree.map(lambda v: np.asarray(v)[: n - first], block))  # noqa: B023
        return jax.tree.map(lambda *v: np.concatenate(v), *blocks)

    return every


def jit(function: Callable[..., Any], *, briefly: bool) -> Any:
    """Compile a function, without optimisations if it will run briefly.

    It is then compiled in a third of the time, and runs two to three times as long.
    """
    return jax.jit(function, compiler_options=_options(briefly))


@functools.cache
def _options(briefly: bool) -> dict[str, Any] | None:
    """Compiler options, in full, as XLA_FLAGS may have other defaults; None where this XLA does not know them."""
    options = {
        "xla_backend_optimization_level": 0 if briefly else 3,
        "xla_cpu_use_fusion_emitters": not briefly,
    }
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return None
    return options


def make_room(share: float = 0.5) -> None:
    """Clear all compiled programs once they hold a share of the memory maps of a Linux process.

    A program that JAX has compiled for a CPU holds hundreds of maps. A process that fits many laws to many
    tables would exceed the limit, and the compiler would then end it with a segmentation fault. Cleared
    programs are read again from the cache on disk.
    """
    maps, limit = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
    if not (maps.exists() and limit.exists()):
        return
    if len(maps.read_bytes().splitlines()) > share * int(limit.read_text()):
        jax.clear_caches()


def use_compilation_cache() -> None:
    """Keep compiled programs on disk, unless the user has configured a cache directory."""
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        cache = platformdirs.user_cache_path("scalebayes") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(cache))
        # most of the programs of a fit are below JAX's bound of one second
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
