"""Covariates from end to end: effects are recovered, and every prediction and plan takes their values."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import fit_quietly, table
from numpyro import distributions as dist

import scalebayes as sb
from scalebayes.evaluation import scoring
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.model import Reference
from scalebayes.skills.factor_scores import skill_draws

STAGES = ("base", "chat", "007")
"""The last looks like a number, and is none."""

COVARIATES = [sb.Covariate("year", "numeric"), sb.Covariate("stage", "category", STAGES)]

NEW = "f7"
"""The family that no fit has seen."""

HELD_OUT = [f"f{f}-{f % 4}" for f in range(7)]
LARGE: dict[str, Any] = {"s_q": dist.LogNormal(0.0, 0.2)}
"""A prior of large effects: a level is worth a logit or so."""


@functools.cache
def simulated(law: sb.ScoreLaw) -> tuple[sb.Observations, dict[str, np.ndarray], Reference]:
    """A table that a law gives, with the parameters behind it and where these are measured from."""
    plain, rng = table(), np.random.default_rng(1)
    models = plain.models.assign(
        year=rng.normal(2024, 1, len(plain.models)), stage=rng.choice(STAGES, len(plain.models))
    )
    empty = sb.Observations(models, plain.scores, covariates=COVARIATES)
    observations, truth = sb.simulate(law, empty, seed=1)
    seen = np.ones(len(plain.scores), bool), np.ones(0, bool)
    reference = Reference.of(empty, *seen, tuple(empty.covariates.values()))
    return observations, truth, reference


def fitted(law: sb.ScoreLaw, made_by: sb.ScoreLaw, sampler: sb.Nuts) -> sb.Fit:
    observations, _, reference = simulated(made_by)
    if not law.covariates:
        reference = replace(reference, covariate_centre=np.zeros(0), covariate_scale=np.ones(0))
    seen = observations.without(families=[NEW])
    return fit_quietly(law, seen, seed=1, sampler=sampler, hold_out=HELD_OUT, reference=reference)


BASELINE = sb.FamilyIntercept(covariates=("year", "stage"), **LARGE)
SLOTH = sb.Sloth(covariates=("year", "stage"), **LARGE)
NUTS = sb.Nuts(draws=300, warmup=300)


@pytest.fixture(scope="module")
def fit() -> sb.Fit:
    """A baseline with covariates, fitted to what it gave."""
    return fitted(BASELINE, BASELINE, NUTS)


@pytest.fixture(scope="module")
def without() -> sb.Fit:
    """The same scores under the same law without covariates."""
    return fitted(sb.FamilyIntercept(), BASELINE, NUTS)


@pytest.fixture(scope="module")
def skilled() -> sb.Fit:
    """Sloth with covariates, fitted to what it gave."""
    return fitted(SLOTH, SLOTH, sb.Nuts(draws=200, warmup=300))


def planned(**columns: object) -> pd.DataFrame:
    """A model of a known family for each value of the columns."""
    models = pd.DataFrame({"year": 2024.0, "stage": "base"} | columns, index=range(3))
    names = [f"planned {i}" for i in models.index]
    return models.assign(model=names, family="f0", params=2e10, tokens=1e12)


@pytest.mark.parametrize(("name", "law"), [("fit", BASELINE), ("skilled", SLOTH)])
def test_effects_are_recovered(request: pytest.FixtureRequest, name: str, law: sb.ScoreLaw) -> None:
    """Of 16 effects, nearly all lie in their 95% intervals, which are narrow beside the effects.

    Levels of a category are known up to a shift, which the intercepts take up: they are compared with their mean.
    """
    posterior = request.getfixturevalue(name).tree["posterior"]["Gamma"]
    assert list(posterior["covariate_level"].values) == ["year", *(f"stage={s}" for s in STAGES)]
    truth, draws = (centred(v) for v in (simulated(law)[1]["Gamma"], posterior.to_numpy()))
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975], axis=(0, 1))
    assert np.mean((low <= truth) & (truth <= high)) >= 14 / 16
    assert np.mean(high - low) < 2 * np.std(truth)
    assert np.corrcoef(truth.ravel(), middle.ravel())[0, 1] > 0.9


def centred(effects: np.ndarray) -> np.ndarray:
    """Effects, shape (..., covariate_level, benchmark), those of levels without their mean."""
    year, levels = effects[..., :1, :], effects[..., 1:, :]
    return np.concatenate([year, levels - levels.mean(axis=-2, keepdims=True)], axis=-2)


def test_held_out_models_are_predicted_better_with_them(fit: sb.Fit, without: sb.Fit) -> None:
    error = {}
    for name, own in (("with", fit), ("without", without)):
        held = scoring.scores(sb.held_out(own))
        assert set(held["model"]) == set(HELD_OUT)
        error[name] = held["crps"].mean(), -held["log_score"].mean()
    assert error["with"][0] < 0.8 * error["without"][0]
    assert error["with"][1] < error["without"][1]


def test_a_new_model_is_predicted_by_its_covariates(fit: sb.Fit) -> None:
    """Levels are ordered as their true effects are, where these are far apart; so are years."""
    effect = simulated(BASELINE)[1]["Gamma"]
    at = int(np.ptp(effect[1:], axis=0).argmax())
    benchmark = fit.labels("benchmark")[at]
    found = sb.predict(fit, planned(stage=STAGES), kind="mean").set_index(["benchmark", "model"])
    mean = found["mean"].xs(benchmark).to_numpy()
    assert (mean.argmin(), mean.argmax()) == (effect[1:, at].argmin(), effect[1:, at].argmax())
    at = int(np.abs(effect[0]).argmax())
    found = sb.predict(fit, planned(year=[2022.0, 2024.0, 2026.0]), kind="mean")
    mean = found.loc[found["benchmark"] == fit.labels("benchmark")[at], "mean"].to_numpy()
    assert (np.sign(np.diff(mean)) == np.sign(effect[0, at])).all()


def test_a_model_of_the_fit_needs_none(fit: sb.Fit) -> None:
    models = fit.observations.only(models=HELD_OUT).models
    expected = sb.predict(fit, models)
    for left_out in (["year", "stage"], ["stage"]):
        pd.testing.assert_frame_equal(sb.predict(fit, models.drop(columns=left_out)), expected)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (planned(stage="tuned"), "'tuned'"),
        (planned().drop(columns="stage"), "covariate 'stage'.*'planned 0'"),
        (planned(colour="red"), "colour"),
    ],
)
def test_what_is_missing_or_unknown_is_named(
    fit: sb.Fit, models: pd.DataFrame, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sb.predict(fit, models)


def test_a_covariate_that_is_not_declared_is_named(fit: sb.Fit) -> None:
    with pytest.raises(ValueError, match=r"\['colour'\].*\['year', 'stage'\]"):
        sb.fit(sb.FamilyIntercept(covariates=("colour",)), fit.observations, seed=0)
    with pytest.raises(ValueError, match="no covariate 'colour'"):
        sb.trajectory(fit, "f0", covariates={"colour": "red"})
    with pytest.raises(ValueError, match=f"{NEW}.*covariate 'year'"):
        sb.target_map(fit, NEW, {"gsm": 0.5}, params=[1e10], tokens=[1e12])


def test_a_new_family_is_conditioned_on(fit: sb.Fit) -> None:
    """What its smallest model scored, of a stage of its own, makes its largest better known."""
    every = simulated(BASELINE)[0]
    small, large = (every.only(models=[f"{NEW}-{size}"]) for size in (0, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # how far it reaches is another test's
        known = sb.condition(fit, small)
    before, after = (sb.joint_log_score(f, large) for f in (fit, known))
    assert after > before


def test_curves_and_plans_take_values(fit: sb.Fit) -> None:
    """The level with the higher true effect has the higher curve, probability and value."""
    effect = simulated(BASELINE)[1]["Gamma"][1:]
    at = int(np.ptp(effect, axis=0).argmax())
    benchmark = fit.labels("benchmark")[at]
    worst, best = ({"stage": STAGES[i]} for i in np.argsort(effect[:, at])[[0, -1]])
    curves, chances, values = [], [], []
    for covariates in (worst, best):
        curve = sb.trajectory(fit, "f0", points=3, on=benchmark, kind="mean", covariates=covariates)
        curves.append(curve["median"].to_numpy())
        chart = sb.target_map(
            fit, "f0", {benchmark: 0.6}, params=[1e10], tokens=[1e12], covariates=covariates
        )
        chances.append(chart["probability"][0])
        divided = sb.allocate(
            fit, "f0", 1e22, benchmarks=benchmark, covariates=covariates, tokens_per_param=(1, 100)
        )
        values.append(divided.best["value"][0])
    assert (curves[1] > curves[0]).all()
    assert chances[1] > chances[0]
    assert values[1] > values[0]


def test_values_left_out_are_those_of_the_largest_model(fit: sb.Fit) -> None:
    own = fit.observations.models.set_index("model").loc["f0-3"]
    given: dict[str, Any] = {"year": own["year"], "stage": own["stage"]}
    one, other = (sb.trajectory(fit, "f0", points=3, covariates=values) for values in (None, given))
    pd.testing.assert_frame_equal(one, other)


def test_planned_models_reach_targets_by_their_covariates(fit: sb.Fit) -> None:
    """A table of models may come with the columns, here as in `predict`."""
    found = sb.target_probability(fit, planned(stage=STAGES), {"gsm": 0.5})
    draws = sb.predictive_draws(fit, planned(stage=STAGES))["score"].sel(benchmark="gsm")
    expected = (draws >= 0.5).mean(["chain", "draw"]).to_numpy()
    rows = found["benchmark"] == "gsm"
    np.testing.assert_allclose(found.loc[rows, "probability"], expected, atol=0.06)
    assert len(sb.beats(fit, planned(stage=STAGES))) == 3 * (len(fit.labels("benchmark")) + 1)


def test_a_fit_is_saved_with_its_levels(fit: sb.Fit, tmp_path: Path) -> None:
    loaded = sb.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.law == fit.law
    assert loaded.observations == fit.observations
    assert set(loaded.observations.models["stage"]) == set(STAGES)
    models = planned(stage=STAGES)
    pd.testing.assert_frame_equal(sb.predict(loaded, models), sb.predict(fit, models))


def test_an_average_of_laws_with_and_without(fit: sb.Fit, without: sb.Fit) -> None:
    """Its predictions lie between those of the two, and its curves take values of covariates."""
    average = sb.average({"with": fit, "without": without}, {"with": 0.5, "without": 0.5})
    models = planned(stage=STAGES)
    found = sb.predict(average, models, kind="mean")
    # the law without covariates does not know one from the other
    plain = sb.predict(without, models.drop(columns=["year", "stage"]), kind="mean")
    expected = (sb.predict(fit, models, kind="mean")["mean"] + plain["mean"]) / 2
    np.testing.assert_allclose(found["mean"], expected, atol=0.02)
    curves = [
        sb.trajectory(average, "f0", points=3, covariates={"stage": stage}) for stage in STAGES
    ]
    assert not np.allclose(curves[0]["mean"], curves[1]["mean"])
    assert len(sb.target_probability(average, models, {"gsm": 0.5})) == 6
    assert set(sb.held_out(average).cells["model"]) == set(HELD_OUT)


def test_the_report_knows_them(fit: sb.Fit, tmp_path: Path) -> None:
    page = sb.write_report(fit, tmp_path / "report.html", models=planned(stage=STAGES)).read_text()
    assert "effects of covariates" in page


def test_skills_of_models_have_the_effects_of_covariates(skilled: sb.Fit) -> None:
    """Loadings times skills follow the abilities behind the true expected scores."""
    tables = sb.skills.skills(skilled, draws=200)
    assert set(tables.models["model"]) == set(skilled.labels("model"))
    draws = skill_draws(skilled, draws=200)
    ability = np.einsum("djk,dik->ij", draws.lam, draws.theta) / 200
    mu = simulated(SLOTH)[1]["mu"]
    every = list(simulated(SLOTH)[0].models["model"])
    own = mu[[every.index(m) for m in skilled.labels("model")]]
    rank = pd.DataFrame(own).rank().corrwith(pd.DataFrame(ability).rank())
    assert (rank > 0.9).all()
