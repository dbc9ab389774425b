"""Compiled programs that run a function once for each posterior draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    from collections.abc import Callable


def over_draws(one: Callable[..., Any], n_mapped: int) -> Callable[..., Any]:
    """Compile a function of one draw into one of all: in turn on a CPU, at once on a GPU.

    In a program that takes all draws at once, batched LAPACK calls run side by side on the threads
    of JAX's pool and wait there for pieces of their own batch: with JAX 0.10.2 on two cores they
    were seen to wait for one another for ever.

    Args:
        one: Function of one draw and of arguments that all draws share.
        n_mapped: How many of its first arguments have a leading dimension of draws.
    """

    def every(*arguments: Any) -> Any:
        mapped, shared = arguments[:n_mapped], arguments[n_mapped:]
        if jax.default_backend() == "cpu":
            return jax.lax.map(lambda values: one(*values, *shared), mapped)
        return jax.vmap(lambda *values: one(*values, *shared))(*mapped)

    return jax.jit(every)
