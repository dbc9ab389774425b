"""fit_best: weights from predictions of the largest models inside the table, without a look at held-out ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import table, told
from numpyro import distributions as dist

import scalebayes as sb
from scalebayes.evaluation import selection
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.prediction.simulation import simulate

LAWS = {"shared": sb.SharedIntercept(), "families": sb.FamilyIntercept()}
BRIEF = sb.Nuts(draws=60, warmup=120, chains=2)


@pytest.fixture(scope="module")
def observations() -> sb.Observations:
    """Three families of three sizes, far apart on every benchmark."""
    law = sb.FamilyIntercept(floor="known", link="logistic", omega=dist.LogNormal(0.7, 0.1))
    return simulate(law, table(3, 3), seed=1)[0]


@pytest.fixture(scope="module")
def best(observations: sb.Observations) -> sb.Average:
    with pytest.warns(ConvergenceWarning):  # short fits
        return sb.fit_best(
            observations, laws=LAWS, seed=0, hold_out=["f0-2"], sampler=BRIEF, progress=False
        )


def test_the_largest_seen_size_of_each_family_is_predicted(
    best: sb.Average, observations: sb.Observations
) -> None:
    assert best.evidence is not None
    assert list(best.evidence["model"]) == ["f0-1", "f1-2", "f2-2"]
    assert set(best.evidence) == {"model", *LAWS}
    assert np.isfinite(best.evidence[list(LAWS)]).all(axis=None)


def test_families_that_differ_ask_for_intercepts(best: sb.Average) -> None:
    assert best.evidence is not None
    means = best.evidence[list(LAWS)].mean()
    assert means["families"] > means["shared"] + 0.5
    assert best.weights["families"] > 0.6
    assert sum(best.weights.values()) == pytest.approx(1.0)


def test_final_fits_see_all_but_what_is_held_out(best: sb.Average) -> None:
    for part in best.parts:
        assert part.fit.held_out == ("f0-2",)
        assert part.fit.n_draws == BRIEF.chains * BRIEF.draws
    held = sb.held_out(best, seed=0)
    assert set(held.cells["model"]) == {"f0-2"}


def test_brief_fits_do_not_warn_as_if_they_were_answers(observations: sb.Observations) -> None:
    names = selection.largest(observations)
    arguments = (LAWS, observations, names, (), BRIEF, 0, False)
    assert not told(lambda _: selection._trial(*arguments), None, ConvergenceWarning)


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """R-hat of the trial of each law, whose evidence says that the third law is far behind."""
    rhat = {"a": 1.0, "b": 1.0, "c": 1.0}
    evidence = pd.DataFrame({"model": range(20), "a": 1.0, "b": 1.1, "c": -5.0})
    monkeypatch.setattr(selection, "_trial", lambda *_: (evidence, rhat))
    monkeypatch.setattr(selection, "fit", lambda law, *_, **__: law)
    return rhat


THREE = {"a": sb.SharedIntercept(), "b": sb.FamilyIntercept(), "c": sb.Sloth()}


def test_laws_of_little_weight_are_left_out(
    trial: dict[str, float], observations: sb.Observations
) -> None:
    found = sb.fit_best(observations, laws=THREE, seed=0)
    assert set(found.weights) == set(found.fits) == {"a", "b"}
    assert sum(found.weights.values()) == pytest.approx(1.0)
    assert found.weights["b"] > found.weights["a"] > 0.3  # little evidence, near equal weights


def test_laws_that_do_not_mix_are_left_out_unless_all_do(
    trial: dict[str, float], observations: sb.Observations
) -> None:
    trial["b"] = 1.6
    assert "b" not in sb.fit_best(observations, laws=THREE, seed=0).weights
    trial.update(a=1.6, c=1.6)
    assert set(sb.fit_best(observations, laws=THREE, seed=0).weights) == {"a", "b"}


def test_without_larger_models_weights_are_equal(trial: dict[str, float]) -> None:
    single = table(3, 1)
    assert not selection.largest(single)
    found = sb.fit_best(single, laws=LAWS, seed=0)
    assert found.weights == {"shared": 0.5, "families": 0.5}
    assert found.evidence is None


def test_candidates_suit_the_table(observations: sb.Observations) -> None:
    scores_alone = sb.datasets.open_llm()
    assert {"ReducibleLoss", "FamilyIntercept", "Sloth"} <= set(sb.candidates(scores_alone))
    assert "Ladder" not in sb.candidates(scores_alone)
    assert "Sloth" not in sb.candidates(scores_alone.only(benchmarks=["mmlu"]))
    assert sb.candidates(sb.datasets.olmo_ladder())["Ladder"] == sb.Ladder()
    assert sb.candidates(observations)["Ladder"] == sb.Ladder()  # a loss on each benchmark
    losses = observations.losses
    one = observations.with_tables(losses=losses[losses["domain"] == "c4"])
    assert sb.candidates(one)["Ladder"] == sb.Ladder(feature="c4")


def test_at_most_three_laws_are_averaged(
    trial: dict[str, float], observations: sb.Observations, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {str(n): sb.SharedIntercept() for n in range(5)}
    evidence = pd.DataFrame({"model": [0, 1], **dict.fromkeys(many, 1.0), "4": 2.0})
    monkeypatch.setattr(selection, "_trial", lambda *_: (evidence, dict.fromkeys(many, 1.0)))
    found = sb.fit_best(observations, laws=many, seed=0).weights
    assert len(found) == 3
    assert max(found, key=found.get) == "4"
    assert sb.fit_best(observations, laws=many, seed=0, most=1).weights == {"4": 1.0}


def test_refusals(observations: sb.Observations) -> None:
    with pytest.raises(ValueError, match="at least one law"):
        sb.fit_best(observations, laws={}, seed=0)
    losses_alone = sb.datasets.olmo_ladder().only(benchmarks=[])
    with pytest.raises(ValueError, match="there are none: fit one law"):
        sb.fit_best(losses_alone, seed=0)
