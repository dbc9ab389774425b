"""Selection of draws: evenly spaced ones, and the share of each law in an average."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


def evenly(n: int, k: int) -> np.ndarray:
    """Indices of k evenly spaced draws of n, shape (k,)."""
    return np.linspace(0, n - 1, k).round().astype(int)


def shares(weights: Mapping[str, float], n_draws: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Indices of the draws of each law in an average, whose total is the number of draws of the first law.

    Args:
        weights: Weight of each law, summing to one.
        n_draws: Number of draws of each law.
    """
    total = next(iter(n_draws.values()))
    ends = np.round(np.cumsum([0.0, *(weights[name] for name in n_draws)]) * total).astype(int)
    return {name: evenly(n, k) for (name, n), k in zip(n_draws.items(), np.diff(ends), strict=True)}
