"""Compiled programs: a function of one draw run for all, and room for the next program."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.model.law import Law

MAX_PROGRAMS = 16
"""Compiled programs of one kind that are kept at a time."""


def compiled(
    n_mapped: int, *, optimised: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function of a law, and of options, that makes a function of one draw.

    The decorated function returns that function compiled for all draws. Laws are values: equal laws with equal
    options share one program.

    Args:
        n_mapped: How many of the first arguments of the function of one draw have a leading dimension of draws.
        optimised: As in `over_draws`.
    """

    def decorate(build: Callable[..., Any]) -> Callable[..., Any]:
        @functools.lru_cache(maxsize=MAX_PROGRAMS)
        @functools.wraps(build)
        def program(law: Law, *options: Any) -> Callable[..., Any]:
            return over_draws(build(law, *options), n_mapped, optimised=optimised)

        return program

    return decorate


def over_draws(
    one: Callable[..., Any], n_mapped: int, *, optimised: bool = True
) -> Callable[..., Any]:
    """Compile a function of one draw into one of all: in turn on a CPU, at once on a GPU.

    In a program that takes all draws at once, batched LAPACK calls run side by side on the threads
    of JAX's pool and wait there for pieces of their own batch: with JAX 0.10.2 on two cores they
    were seen to wait for one another for ever.

    Args:
        one: Function of one draw and of arguments that all draws share.
        n_mapped: How many of its first arguments have a leading dimension of draws.
        optimised: Whether to compile with the compiler's optimisations, which a program of many random
            generators that runs once is not worth.
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
    """Forget all compiled programs once they hold a share of the memory maps that Linux grants a process.

    A program that JAX has compiled for a CPU holds hundreds of maps for as long as JAX may call it
    again. A process that fits many laws to many tables would run out of them, and the compiler then
    ends it with a segmentation fault. Programs that are needed again come from the cache on disk.
    """
    maps, limit = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
    if not (maps.exists() and limit.exists()):
        return
    if len(maps.read_bytes().splitlines()) > share * int(limit.read_text()):
        jax.clear_caches()


def use_compilation_cache() -> None:
    """Keep compiled programs on disk, unless the user has chosen a place for them."""
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        cache = platformdirs.user_cache_path("scalebayes") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(cache))
