"""Choosing draws: evenly spread ones, and the share of each law in an average."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


def evenly(n: int, k: int) -> np.ndarray:
    """Positions of k of n draws, evenly spread, shape (k,)."""
    return np.linspace(0, n - 1, k).round().astype(int)


def shares(weights: Mapping[str, float], n_draws: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Which draws each law gives to an average: its share of the number that the first law has.

    Args:
        weights: Share of each law, summing to one.
        n_draws: How many draws there are of each.
    """
    total = next(iter(n_draws.values()))
    ends = np.round(np.cumsum([0.0, *(weights[name] for name in n_draws)]) * total).astype(int)
    return {name: evenly(n, k) for (name, n), k in zip(n_draws.items(), np.diff(ends), strict=True)}
