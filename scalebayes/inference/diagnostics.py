"""Can the draws be believed? Checks after every fit, each failure with its remedy."""

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
CONSTANT = 1e-9
"""What varies less over all draws is the same at each, and cannot be judged."""


class ConvergenceWarning(UserWarning):
    """The draws of a fit do not pass a check."""


@dataclass(frozen=True)
class Verdict:
    """Outcome of the checks of one fit.

    Attributes:
        max_rhat: Largest R-hat (rank-normalised, split) of the identified quantities.
        min_ess_bulk: Their smallest bulk effective sample size.
        min_ess_tail: Their smallest tail effective sample size.
        divergences: Number of divergent transitions.
        saturated: Number of transitions that reached the largest tree depth.
        min_ebfmi: Smallest energy fraction of missing information over the chains.
        failures: One sentence each, with the remedy.
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

    def warn(self) -> None:
        """Issue each failure as a `ConvergenceWarning`."""
        for failure in self.failures:
            warnings.warn(failure, ConvergenceWarning, stacklevel=3)

    def __str__(self) -> str:
        """One line of figures, and a line for each failure."""
        figures = (
            f"R-hat {self.max_rhat:.3f}, ESS bulk {self.min_ess_bulk:.0f} tail {self.min_ess_tail:.0f}, "
            f"{self.divergences} divergences, {self.saturated} saturated trees, "
            f"E-BFMI {self.min_ebfmi:.2f}"
        )
        head = "converged" if self.passed else "NOT converged"
        return "\n".join([f"{head}: {figures}", *self.failures])


def _identified(posterior: xr.Dataset, expected: Sequence[str]) -> xr.Dataset:
    """Expected scores and losses side by side, without those that are the same at every draw.

    A score far below the threshold of emergence is: it is the chance level, whatever the parameters.
    """
    found = [posterior[k].to_numpy() for k in expected if k in posterior]
    values = np.concatenate([v.reshape(*v.shape[:2], -1) for v in found], axis=2)
    values = values[:, :, np.ptp(values, axis=(0, 1)) > CONSTANT]
    coords = {k: posterior.coords[k] for k in ("chain", "draw")}
    return xr.Dataset({"expected": (("chain", "draw", "value"), values)}, coords)


def check(tree: xr.DataTree, expected: Sequence[str]) -> Verdict:
    """Check the draws of a fit.

    R-hat and ESS are judged on what the data identify: the expected scores, and the expected losses of a
    law that has them. Loadings and skills are known only up to a rotation, so that
    chains may differ in them and agree in all they say.

    Args:
        tree: The fit's DataTree.
        expected: Names of the sites with the expected scores and losses.
    """
    identified = _identified(tree["posterior"].to_dataset(), expected)
    stats = tree["sample_stats"].to_dataset()
    n_chains = stats.sizes["chain"]
    worst_rhat = float(rhat(identified)["expected"].max()) if n_chains > 1 else float("nan")
    bulk = float(ess(identified, method="bulk")["expected"].min())
    tail = float(ess(identified, method="tail")["expected"].min())
    divergences = int(stats["diverging"].sum())
    saturated = int(stats["reached_max_treedepth"].sum())
    energy = float(np.min(bfmi(tree)["energy"].to_numpy()))
    failures = []
    if n_chains == 1:
        failures.append("one chain cannot be checked against another: run at least 4 chains")
    elif not worst_rhat <= MAX_RHAT:
        failures.append(
            f"chains disagree: R-hat of what is expected is up to {worst_rhat:.3f} (at most {MAX_RHAT}); "
            "double warmup and draws"
        )
    if not min(bulk, tail) >= MIN_ESS:
        failures.append(
            f"few effective draws: ESS of what is expected is down to {min(bulk, tail):.0f} (at least "
            f"{MIN_ESS}); raise draws"
        )
    if divergences:
        failures.append(
            f"{divergences} divergent transitions: a part of the posterior is not explored; raise "
            "target_accept towards 0.99"
        )
    if saturated:
        failures.append(
            f"{saturated} trajectories were cut at the largest tree depth: sampling is slow, not "
            "biased; raise max_tree_depth, or lengthen warmup"
        )
    if energy < MIN_EBFMI:
        failures.append(
            f"E-BFMI is {energy:.2f} (at least {MIN_EBFMI}): heavy tails are explored slowly; lengthen "
            "warmup, or tighten the priors of scales (tau, omega, delta, kappa)"
        )
    return Verdict(worst_rhat, bulk, tail, divergences, saturated, energy, tuple(failures))
