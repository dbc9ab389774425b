"""A failed verdict is told once by each public function that answers from a fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import PASSED, told

import scalebayes as sb
from tests.prediction.test_ranges import INSIDE, NEAR, TARGETS

FAILED = replace(PASSED, max_rhat=2.1, failures=("chains disagree: double warmup and draws",))

ANSWERS = {
    **INSIDE,
    "predictive_draws": lambda f: sb.predictive_draws(f, NEAR),
    "posterior_predictive": sb.posterior_predictive,
    "joint_log_score": lambda f: sb.joint_log_score(f, f.observations.only(models=["f0-3"])),
    "log_score": lambda f: sb.log_score(f, f.observations.only(models=["f0-3"])),
    "target_map": lambda f: sb.target_map(f, "f0", TARGETS, params=[3e10], tokens=[1e12]),
    "beats": lambda f: sb.beats(f, f.observations.only(models=["f0-3", "f1-3"])),
    "smallest_budget": lambda f: sb.smallest_budget(
        f, "f0", {"mmlu": 0.6}, probability=0.5, flops=(1e18, 1e27), tokens_per_param=(20, 40)
    ),
    "next_run": lambda f: sb.next_run(f, NEAR, NEAR.assign(model="other", params=2e10)),
    "skills": lambda f: sb.skills.skills(f, draws=20),
    "identifiability": sb.identifiability,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_unconverged_fit_is_told_once(name: str, fitted: sb.Fit) -> None:
    fit = replace(fitted, judged=FAILED)
    (warning,) = told(ANSWERS[name], fit, sb.ConvergenceWarning)
    assert str(warning.message) == (
        "not converged: do not rely on the answers of this fit before this is mended: "
        "chains disagree: double warmup and draws"
    )
    assert Path(__file__).parents[1] in Path(warning.filename).parents  # the line of the caller


@pytest.mark.parametrize("name", ["predict", "target_probability", "held_out"])
def test_a_converged_fit_says_nothing(name: str, fitted: sb.Fit) -> None:
    assert told(ANSWERS[name], replace(fitted, judged=PASSED), sb.ConvergenceWarning) == []


def test_the_part_of_an_average_that_failed_is_named(fitted: sb.Fit) -> None:
    fits = {"good": replace(fitted, judged=PASSED), "bad": replace(fitted, judged=FAILED)}
    average = sb.average(fits, {"good": 0.5, "bad": 0.5})
    (warning,) = told(INSIDE["predict"], average, sb.ConvergenceWarning)
    assert "of these fits before this is mended: bad: chains disagree" in str(warning.message)
    assert "good:" not in str(warning.message)


def test_comparisons_name_the_fit_that_failed(fitted: sb.Fit) -> None:
    fits = {"good": replace(fitted, judged=PASSED), "bad": replace(fitted, judged=FAILED)}

    def compare(given: dict[str, sb.Fit]) -> None:
        sb.compare(given, by="score", moment_match=False, refit=False, method="stacking")

    (warning,) = told(compare, fits, sb.ConvergenceWarning)
    assert "bad: chains disagree" in str(warning.message)


def test_an_error_leaves_later_calls_as_they_were(fitted: sb.Fit) -> None:
    fit = replace(fitted, judged=FAILED)
    with pytest.raises(ValueError, match="prob must be"):
        sb.predict(fit, NEAR, prob=[2.0])
    assert len(told(INSIDE["predict"], fit, sb.ConvergenceWarning)) == 1
