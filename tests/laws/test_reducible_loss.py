"""ReducibleLoss: the published surface, diminishing returns, families, and recovery of simulated truth."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from conftest import table
from numpyro import handlers
from scipy.special import expit

import scalebayes as sb
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.laws.reducible_loss import UNIT
from scalebayes.model import design as designs
from scalebayes.model.reference import BELOW_CHANCE
from scalebayes.prediction.simulation import simulate

PLAIN = sb.ReducibleLoss(link="logistic", ceiling="one", floor="known")


def surface(params: Any, tokens: Any) -> Any:
    """The reducible loss of Hoffmann et al., as printed."""
    return 406.4 / params**0.3392 + 410.7 / tokens**0.2849


def traced(law: sb.ReducibleLoss, **values: Any) -> tuple[Any, dict[str, Any]]:
    """A design of a simulated table, and the values of all sites with some of them given."""
    with jax.enable_x64(True):
        design = designs.build(table(3, 3))
        model = handlers.substitute(handlers.seed(law, 0), values)
        trace = handlers.trace(model).get_trace(design)
        return design, {k: np.asarray(s["value"]) for k, s in trace.items() if "value" in s}


def test_abilities_are_lines_in_the_published_surface() -> None:
    law = PLAIN
    design, value = traced(law, alpha=0.3392, beta=0.2849, rho=0.0)
    x = -np.log(surface(np.exp(design.log_params), np.exp(design.log_tokens))) / UNIT
    x_f = -np.log(surface(*np.exp(design.centre.T))) / UNIT
    f = design.family
    eta = value["a"][f] + (x - x_f[f])[:, None] * value["B"]
    np.testing.assert_allclose(
        value["mu"], design.chance + (1 - design.chance) * expit(eta), rtol=1e-5
    )


def test_size_alone_has_diminishing_returns() -> None:
    design, _ = traced(PLAIN)
    x = PLAIN.x(design.reference, alpha=0.34, beta=0.28, rho=0.0)
    at = design.reference.log_d0
    gains = np.diff(x(design.reference.log_n0 + np.arange(5.0), np.full(5, at)))
    assert (gains > 0).all()
    assert (np.diff(gains) < 0).all()
    both = np.diff(x(*(v + np.arange(5.0) for v in (design.reference.log_n0, at))))
    assert (both > gains).all()


@pytest.mark.parametrize(
    ("lowest", "expected"), [(0.24, 0.25), (0.3, 0.25), (0.10, 0.10 + BELOW_CHANCE)]
)
def test_floors_go_below_chance_only_where_scores_do(lowest: float, expected: float) -> None:
    plain = table(3, 3)
    scores = plain.scores.assign(score=plain.scores["score"].clip(lower=0.5))
    first = scores["benchmark"] == "mmlu"
    scores.loc[first & (scores["model"] == "f1-0"), "score"] = lowest
    seen = plain.with_tables(scores=scores)
    at = plain.benchmarks.index("mmlu")
    floor = designs.build(seen).reference.floor
    assert floor[at] == pytest.approx(expected)
    others = np.delete(np.arange(4), at)
    np.testing.assert_array_equal(floor[others], designs.build(seen).chance[others])
    hidden = designs.build(seen, (scores["model"] != "f1-0").to_numpy())
    assert hidden.reference.floor[at] == 0.25  # a held-out score tells nothing


def test_an_unknown_chance_level_stays_unknown() -> None:
    plain = table(3, 3)
    unknown = plain.with_tables(scores=plain.scores.assign(chance=np.nan))
    assert np.isnan(designs.build(unknown).reference.floor).all()


def test_simulated_expectations_are_recovered() -> None:
    seen, new = [], []
    for seed in range(3):
        observations, truth = simulate(sb.ReducibleLoss(), table(4, 4), seed=seed)
        largest = [m for m in observations.models["model"] if m.endswith("-3")]
        with pytest.warns(ConvergenceWarning):  # a short fit
            fit = sb.fit(
                sb.ReducibleLoss(), observations, seed=0, hold_out=largest, progress=False,
                sampler=sb.Nuts(draws=200, warmup=300, chains=2),
            )  # fmt: skip
        names = list(observations.models["model"])
        rows = [names.index(m) for m in fit.design.labels("model")]
        mu = fit.tree["posterior"]["mu"].stack(sample=("chain", "draw")).to_numpy()
        lower, upper = np.quantile(mu, [0.05, 0.95], axis=-1)
        inside = (lower <= truth["mu"][rows]) & (truth["mu"][rows] <= upper)
        held = np.isin(fit.design.labels("model"), largest)
        seen.append(inside[~held])
        new.append(inside[held])
        width = (upper - lower).mean(axis=1)
        assert width[held].mean() > width[~held].mean()
    assert 0.8 <= np.mean(seen) <= 0.98
    assert 0.8 <= np.mean(new) <= 0.98
