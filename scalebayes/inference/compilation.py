"""Compiled programs: functions of one draw mapped over all draws, and the memory that they hold."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import platformdirs

from scalebayes.model.law import at_current_precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.model.law import Law

MAX_PROGRAMS = 16
"""Largest number of compiled programs of one kind in memory."""


def compiled(
    n_mapped: int, *, optimised: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function of a law and options that returns a function of one draw.

    The decorated function returns the function of one draw compiled for all draws. Equal laws with equal
    options share a program.

    Args:
        n_mapped: How many of the first arguments of the function of one draw have a leading dimension of draws.
        optimised: As in `over_draws`.
    """

    def decorate(build: Callable[..., Any]) -> Callable[..., Any]:
        @functools.lru_cache(maxsize=MAX_PROGRAMS)
        @functools.wraps(build)
        def program(law: Law, *options: Any) -> Callable[..., Any]:
            def one(*arguments: Any) -> Any:
                return build(at_current_precision(law), *options)(*arguments)

            return over_draws(one, n_mapped, optimised=optimised)

        return program

    return decorate


def over_draws(
    one: Callable[..., Any], n_mapped: int, *, optimised: bool = True
) -> Callable[..., Any]:
    """Compile a function of one draw for all draws: sequential on a CPU, vectorized on a GPU.

    A CPU program is not vectorized because batched LAPACK calls, which share the threads of JAX's pool, can
    deadlock: they did with JAX 0.10.2 on two cores.

    Args:
        one: Function of one draw and of arguments that all draws share.
        n_mapped: How many of its first arguments have a leading dimension of draws.
        optimised: Whether to compile with optimisations. For a program of many random generators that runs
            once, they take longer than they save.
    """

    def every(*arguments: Any) -> Any:
        mapped, shared = arguments[:n_mapped], arguments[n_mapped:]
        if jax.default_backend() == "cpu":
            return jax.lax.map(lambda values: one(*values, *shared), mapped)
        return jax.vmap(lambda *values: one(*values, *shared))(*mapped)

    use_compilation_cache()
    return jax.jit(
        every, compiler_options=None if optimised else {"xla_backend_optimization_level": 0}
    )


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
