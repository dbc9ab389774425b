r"""Simulated tables of few families, from a generator that is none of the laws.

With model i of family f, benchmark j, n = log(N/N0), d = log(D/D0) and c = (n + d) / 2:

    ability_ij = level_j + slope_j g_f n + tokens_j g_f d + quad_j c^2 + product_j n d
                 + shift_f + own_fj + sd (r common_i + sqrt(1 - r^2) single_ij)
    mu_ij      = floor_j + (ceiling_j - floor_j) (1 + exp(-ability_ij))^(-nu_j)
    score_ij   = Binomial(items_j, mu_ij) / items_j

N0 and D0 are the geometric means of the table. A table draws anew: sizes, their steps and one of three rules for
tokens; positive slopes (Gamma), different for each benchmark; how far families lie apart, altogether and on single
benchmarks, and by a factor g_f in slopes; a small quadratic term for half of the benchmarks and a small product for
half; the deviations of models, common to their benchmarks with weight r, with the tails of Student's t with 4 degrees
of freedom; the asymmetry nu of the curve, from 0.4 to 2.5 (1 is the logistic curve); ceilings between 0.8 and 1 or
one; floors at the stated chance or below it, down to 60%; and the number of items.

No number is drawn from a prior of a law. No law has quadratic terms or heavy tails, and by default only
`ReducibleLoss` has ceilings below one. Scales are chosen such that most benchmarks rise by 0.1 to 1 logits for a factor
of e in size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit

import scalebayes as sb
from benchmarks.zoo.table import larger
from scalebayes.data.folds import Fold

N_BENCHMARK = 5
CHANCES = (0.0, 0.1, 0.2, 0.25, 0.5)
TAILS = 4
"""Degrees of freedom of the deviations of models."""

Tokens = Literal["one budget", "proportional to size", "own for each size"]
TOKENS: tuple[Tokens, ...] = ("one budget", "proportional to size", "own for each size")


@dataclass(frozen=True)
class Shape:
    """The shape of a table: tables of one shape share their compiled programs.

    Attributes:
        families: Number of families.
        sizes: Sizes of each family.
        budgets: Models of each size, which differ by factors of 4 in tokens.
    """

    families: int
    sizes: int
    budgets: int = 1

    @property
    def hidden(self) -> int:
        """How many of the largest sizes are held out: two of five or more, else one."""
        return 2 if self.sizes >= 5 else 1


SHAPES = (Shape(1, 3, 3), Shape(1, 5), Shape(2, 3), Shape(2, 4, 2), Shape(3, 3), Shape(3, 6))


def simulated(number: int) -> tuple[Shape, sb.Observations, Fold]:
    """Simulate a table: its shape, the data, and the larger models that are held out."""
    rng = np.random.default_rng([number, 2026])
    shape = SHAPES[number % len(SHAPES)]
    models = _models(rng, shape)
    observations = sb.Observations(models, _scores(rng, models), scales="trust")
    [fold] = larger(observations, keep=shape.sizes - shape.hidden)
    return shape, observations, Fold(f"table {number}", fold.hold_out)


def _models(rng: np.random.Generator, shape: Shape) -> pd.DataFrame:
    """Sizes a factor of 1.8 to 4 apart; tokens by one of `TOKENS`, and multiples of 4 of them."""
    rule = rng.choice(TOKENS)
    smallest, ratio = np.exp(rng.uniform(np.log(1e8), np.log(2e9))), np.exp(rng.normal(4, 1))
    rows = []
    for f in range(shape.families):
        steps = np.log(rng.uniform(1.8, 4.0, shape.sizes - 1))
        log_n = np.log(smallest) + rng.normal(0, 0.4) + np.concatenate([[0.0], np.cumsum(steps)])
        log_ratio = np.log(ratio) + rng.normal(0, 0.3)  # tokens per parameter at the middle size
        log_d = {
            "one budget": np.full(shape.sizes, log_n.mean() + log_ratio),
            "proportional to size": log_n + log_ratio,
            "own for each size": log_n.mean() + log_ratio + rng.normal(0, 0.7, shape.sizes),
        }[rule]
        for k in range(shape.sizes):
            for m in range(shape.budgets):
                params, tokens = np.exp(log_n[k]), np.exp(log_d[k]) * 4.0**m
                rows.append((f"f{f}-{k}-{m}", f"f{f}", params, tokens))
    return pd.DataFrame(rows, columns=["model", "family", "params", "tokens"])


def _scores(rng: np.random.Generator, models: pd.DataFrame) -> pd.DataFrame:
    """Scores on `N_BENCHMARK` benchmarks; for the equations see the module."""
    n_benchmark, n_model = N_BENCHMARK, len(models)
    chance = rng.choice(CHANCES, n_benchmark)
    floor = chance * np.where(rng.random(n_benchmark) < 0.7, 1.0, rng.uniform(0.6, 1, n_benchmark))
    ceiling = np.where(rng.random(n_benchmark) < 0.5, 1.0, rng.uniform(0.8, 1, n_benchmark))
    nu = np.exp(rng.uniform(np.log(0.4), np.log(2.5), n_benchmark))
    ability = _abilities(rng, models)
    mu = floor + (ceiling - floor) * expit(ability) ** nu
    items = np.exp(rng.uniform(np.log(200), np.log(10_000), n_benchmark)).astype(int)
    score = rng.binomial(items, mu) / items
    j = np.tile(np.arange(n_benchmark), n_model)
    return pd.DataFrame(
        {
            "model": np.repeat(models["model"].to_numpy(), n_benchmark),
            "benchmark": [f"benchmark {k}" for k in j],
            "score": score.ravel(),
            "n_items": items[j],
            "chance": chance[j],
        }
    )


def _abilities(rng: np.random.Generator, models: pd.DataFrame) -> np.ndarray:
    """Abilities, shape (model, benchmark)."""
    n_benchmark, n_model = N_BENCHMARK, len(models)
    family, names = pd.factorize(models["family"])
    log_n, log_d = np.log(models["params"].to_numpy()), np.log(models["tokens"].to_numpy())
    n, d = (log_n - log_n.mean())[:, None], (log_d - log_d.mean())[:, None]
    c = (n + d) / 2

    def some(scale: float) -> np.ndarray:
        """Normal for half of the benchmarks, zero for the others."""
        return rng.normal(0, scale, n_benchmark) * (rng.random(n_benchmark) < 0.5)

    level = rng.normal(-0.3, 1.2, n_benchmark)
    slope = rng.gamma(4.0, 0.45 / 4.0, n_benchmark)
    tokens = rng.gamma(4.0, 0.30 / 4.0, n_benchmark)
    gain = np.exp(rng.normal(0, 0.15, len(names)))[family][:, None]
    shift = rng.normal(0, rng.uniform(0.1, 0.6), len(names))[family][:, None]
    own = rng.normal(0, rng.uniform(0.05, 0.4), (len(names), n_benchmark))[family]
    sd, r = rng.uniform(0.03, 0.25), rng.uniform(0.0, 0.9)
    common = rng.standard_t(TAILS, (n_model, 1)) / np.sqrt(2)  # a unit of variance
    single = rng.standard_t(TAILS, (n_model, n_benchmark)) / np.sqrt(2)
    trend = level + gain * (slope * n + tokens * d) + some(0.03) * c**2 + some(0.03) * n * d
    return trend + shift + own + sd * (r * common + np.sqrt(1 - r**2) * single)
