"""Convergence diagnostics: checks after every fit, each failure with a remedy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from arviz_stats import bfmi, ess, rhat

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_RHAT = 1.01
MIN_ESS = 400
MIN_EBFMI = 0.3
MAX_RANGE_OF_CONSTANT = 1e-9
"""A quantity whose range over all draws is at most this is constant, and is not judged."""


class ConvergenceWarning(UserWarning):
    """A fit has failed a convergence check.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", sb.ConvergenceWarning)  # stop where a fit cannot be relied on
        ...     fit.verdict.passed
        False
    """


@dataclass(frozen=True)
class Verdict:
    """Result of the convergence checks of one fit.

    Attributes:
        max_rhat: Largest R-hat (rank-normalised, split) of the identified quantities.
        min_ess_bulk: Their smallest bulk effective sample size.
        min_ess_tail: Their smallest tail effective sample size.
        divergences: Number of divergent transitions.
        saturated: Number of transitions that reached max_tree_depth.
        min_ebfmi: Smallest energy fraction of missing information over the chains.
        failures: One sentence per failed check, with a remedy.
    """

    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    saturated: int
    min_ebfmi: float
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    def warn(self, attempts: int = 1) -> None:
        """Issue each failure, found after so many attempts, as a `ConvergenceWarning`."""
        after = f" (after {attempts} attempts)" if attempts > 1 else ""
        for failure in self.failures:
            warnings.warn(failure + after, ConvergenceWarning, stacklevel=3)

    def __str__(self) -> str:
        """One line of diagnostics, and a line for each failure."""
        figures = (
            f"R-hat {self.max_rhat:.3f}, ESS bulk {self.min_ess_bulk:.0f} tail {self.min_ess_tail:.0f}, "
            f"{self.divergences} divergences, {self.saturated} saturated trees, "
            f"E-BFMI {self.min_ebfmi:.2f}"
        )
        head = "converged" if self.passed else "NOT converged"
        return "\n".join([f"{head}: {figures}", *self.failures])


def _identified(posterior: xr.Dataset, expected: Sequence[str]) -> xr.Dataset:
    """Expected scores and losses in one array, without constant ones.

    An expected score far below the threshold of emergence is constant: it equals the chance level.
    """
    found = [posterior[k].to_numpy() for k in expected if k in posterior]
    values = np.concatenate([v.reshape(*v.shape[:2], -1) for v in found], axis=2)
    values = values[:, :, np.ptp(values, axis=(0, 1)) > MAX_RANGE_OF_CONSTANT]
    coords = {k: posterior.coords[k] for k in ("chain", "draw")}
    return xr.Dataset({"expected": (("chain", "draw", "value"), values)}, coords)


def check(tree: xr.DataTree, expected: Sequence[str]) -> Verdict:
    """Check the convergence of a fit.

    R-hat and ESS are computed for expected scores and expected losses, which the data identify. Loadings and
    skills are identified only up to a rotation: chains may differ in them without differing in the posterior.

    Args:
        tree: The fit's DataTree.
        expected: Names of the sites of expected scores and losses.
    """
    identified = _identified(tree["posterior"].to_dataset(), expected)
    stats = tree["sample_stats"].to_dataset()
    n_chains = stats.sizes["chain"]
    with np.errstate(divide="ignore", invalid="ignore"):  # R-hat is infinite if chains stand still
        worst_rhat = float(rhat(identified)["expected"].max()) if n_chains > 1 else float("nan")
    bulk = float(ess(identified, method="bulk")["expected"].min())
    tail = float(ess(identified, method="tail")["expected"].min())
    divergences = int(stats["diverging"].sum())
    saturated = int(stats["reached_max_treedepth"].sum())
    energy = float(np.min(bfmi(tree)["energy"].to_numpy()))
    failures = []
    if n_chains == 1:
        failures.append("R-hat needs several chains, but the fit has one: run at least 4 chains")
    elif not worst_rhat <= MAX_RHAT:
        failures.append(
            f"chains disagree: R-hat of expected scores or losses is up to {worst_rhat:.3f} (at most {MAX_RHAT}); "
            "double warmup and draws"
        )
    if not min(bulk, tail) >= MIN_ESS:
        failures.append(
            f"few effective draws: ESS of expected scores or losses is down to {min(bulk, tail):.0f} (at least "
            f"{MIN_ESS}); raise draws"
        )
    if divergences:
        failures.append(
            f"{divergences} divergent transitions: part of the posterior may be unexplored; raise "
            "target_accept towards 0.99"
        )
    if saturated:
        failures.append(
            f"{saturated} trajectories reached max_tree_depth: sampling is slow, not "
            "biased; raise max_tree_depth, or lengthen warmup"
        )
    if energy < MIN_EBFMI:
        failures.append(
            f"E-BFMI is {energy:.2f} (at least {MIN_EBFMI}): heavy tails are explored slowly; lengthen "
            "warmup, or tighten the priors of scales (tau, omega, delta, kappa)"
        )
    return Verdict(worst_rhat, bulk, tail, divergences, saturated, energy, tuple(failures))
