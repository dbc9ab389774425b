"""Where a convergence check fails the sampler goes on, within its retries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from conftest import table

import scalebayes as sb
from scalebayes.inference import attempts, chain, nuts
from scalebayes.inference.diagnostics import ConvergenceWarning, Verdict
from scalebayes.inference.sampling import site_shapes
from scalebayes.model import design as designs
from scalebayes.prediction.simulation import simulate
from scalebayes.report.summary import headline

LAW = sb.SharedIntercept(link="logistic", floor="known")
NUTS = sb.Nuts(draws=30, warmup=150, chains=2)
PASSED = Verdict(1.0, 900.0, 900.0, 0, 0, 1.0, ())
DIVERGED = replace(PASSED, divergences=3, failures=("3 divergent transitions",))
STUCK = replace(PASSED, max_rhat=1.3, failures=("chains disagree",))


@pytest.fixture(scope="module")
def observations() -> sb.Observations:
    return simulate(LAW, table(3, 2), seed=0)[0]


@pytest.fixture
def worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short fits are retried too."""
    monkeypatch.setattr(nuts, "MIN_DRAWS_TO_RETRY", 1)


def sample(observations: sb.Observations, settings: sb.Nuts, verdicts: list[Verdict]) -> Any:
    """The draws, the steps that judged draws took, and how many verdicts are left."""
    left, seen = list(verdicts), []

    def judge(sampled: sb.Sampled) -> Verdict:
        seen.append(sampled)
        return left.pop(0)

    with jax.enable_x64(True):
        design = designs.build(observations)
        found = settings.sample(LAW, design, seed=0, progress=False, judge=judge)
    return found, seen, left


def test_what_passes_is_not_retried(observations: sb.Observations, worth: None) -> None:
    found, seen, _ = sample(observations, NUTS, [PASSED])
    assert found is seen[0]
    assert len(seen) == 1


def test_a_retry_has_as_many_draws_and_goes_on(observations: sb.Observations, worth: None) -> None:
    found, [first], _ = sample(observations, replace(NUTS, retries=1), [STUCK])
    assert found.lp.shape == first.lp.shape
    assert all(v.shape == first.z[k].shape for k, v in found.z.items())
    assert not np.isin(found.lp, first.lp).any()  # new draws


def test_divergences_raise_the_target(observations: sb.Observations, worth: None) -> None:
    stuck, *_ = sample(observations, replace(NUTS, retries=1), [STUCK])
    careful, *_ = sample(observations, replace(NUTS, retries=1), [DIVERGED])
    assert careful.step_size.max() < 0.8 * stuck.step_size.min()
    assert careful.acceptance_rate.mean() > stuck.acceptance_rate.mean()


def test_retries_are_limited(observations: sb.Observations, worth: None) -> None:
    _, seen, left = sample(observations, NUTS, [DIVERGED, STUCK, DIVERGED])
    assert len(seen) == NUTS.retries == 2
    assert left == [DIVERGED]


def test_a_quick_look_is_not_retried(observations: sb.Observations) -> None:
    _, seen, _ = sample(observations, NUTS, [STUCK])
    assert not seen


def test_a_retry_compiles_nothing(observations: sb.Observations, worth: None) -> None:
    design = designs.build(observations)
    dense = tuple(sorted(chain.dense_sites(LAW, design, site_shapes(LAW, design))))
    few = NUTS.chains * (NUTS.warmup + NUTS.draws) <= nuts.FEW_ITERATIONS
    sample(observations, replace(NUTS, retries=0), [])
    _, advance = chain.compiled_chain(False, few, LAW, NUTS.max_tree_depth, dense)
    before = advance._cache_size()
    sample(observations, NUTS, [DIVERGED, DIVERGED])
    sample(observations, replace(NUTS, target_accept=0.8, retries=0), [])
    assert before > 0
    assert advance._cache_size() == before


def test_the_fit_keeps_the_best_attempt_and_tells_all(
    observations: sb.Observations, worth: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = iter([DIVERGED, replace(STUCK, failures=("one", "two")), STUCK])
    monkeypatch.setattr(attempts.diagnostics, "check", lambda *_: next(verdicts, STUCK))
    with pytest.warns(ConvergenceWarning, match=r"3 divergent transitions \(after 3 attempts\)"):
        fit = sb.fit(LAW, observations, seed=0, sampler=NUTS, progress=False)
    assert "; 3 attempts; " in headline(fit)
    told = fit.provenance["attempts"]
    assert len(told) == 3
    assert "3 divergences" in told[0]
    first, *_ = sample(observations, replace(NUTS, retries=0), [])
    np.testing.assert_array_equal(fit.tree["sample_stats"]["lp"].to_numpy(), first.lp)


def test_retries_are_a_whole_number() -> None:
    with pytest.raises(ValueError, match="retries must be a whole number, 0 or more"):
        sb.Nuts(retries=-1)
