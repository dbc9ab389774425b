"""Predictions of known and new families, and conditioning on a new family against a refit."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import HELD_OUT, fit_quietly, table
from scipy.special import logsumexp

import scalebayes as sb
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.prediction.conditioning import importance_weights
from scalebayes.prediction.simulation import simulate


def test_columns_and_order(fitted: sb.Fit) -> None:
    models = fitted.observations.only(models=HELD_OUT).models
    result = sb.predict(fitted, models, prob=(0.5, 0.9))
    assert list(result.columns) == (
        [
            "model",
            "family",
            "benchmark",
            "kind",
            "flops_past",
            "ratio_outside",
            "mean",
            "median",
            "sd",
            "lower_50",
            "upper_50",
            "lower_90",
            "upper_90",
        ]
    )
    assert len(result) == 2 * 4
    assert (result["kind"] == "known family").all()
    ordered = result[["lower_90", "lower_50", "median", "upper_50", "upper_90"]].to_numpy()
    assert (np.diff(ordered, axis=1) >= 0).all()
    assert ((ordered >= 0) & (ordered <= 1)).all()


def test_means_agree_with_the_fit(fitted: sb.Fit) -> None:
    """Models that the fit holds are predicted as the posterior has them, draw by draw."""
    models = fitted.observations.models
    draws = sb.predictive_draws(fitted, models, kind="mean")["score"]
    np.testing.assert_allclose(
        draws.to_numpy(), fitted.tree["posterior"]["mu"].to_numpy(), rtol=1e-9
    )


def test_scores_are_wider_than_means(fitted: sb.Fit) -> None:
    models = fitted.observations.only(models=HELD_OUT).models
    mean, score = (sb.predict(fitted, models, kind=kind)["sd"] for kind in ("mean", "score"))
    assert (score > mean).all()


def test_a_new_family_is_said_to_be_new_and_is_wider(fitted: sb.Fit) -> None:
    models = pd.DataFrame(
        {"model": ["known", "new"], "family": ["f0", "zephyr"], "params": 2e10, "tokens": 1e12}
    )
    result = sb.predict(fitted, models).set_index("model")
    assert (result.loc["new", "kind"] == "new family").all()
    assert (result.loc["new", "sd"].to_numpy() > result.loc["known", "sd"].to_numpy()).all()


def test_new_families_have_the_population_spread(fitted: sb.Fit) -> None:
    """At the reference point eta of a new family is Normal(b, Lam Lam' + omega^2): against NumPy."""
    reference = fitted.reference
    models = pd.DataFrame(
        {
            "model": ["m"],
            "family": ["zephyr"],
            "params": [np.exp(reference.log_n0)],
            "tokens": [np.exp(reference.log_d0)],
        }
    )
    mean = sb.predictive_draws(fitted, models, kind="mean")["score"].to_numpy().reshape(-1, 4)
    d = fitted.draws()
    rng = np.random.default_rng(1)
    lam = fitted.tree["posterior"]["lam"].to_numpy().reshape(-1, 4, 2)
    skills = np.einsum("sjk,sk->sj", lam, rng.normal(size=(len(mean), 2)))
    eta = d["b"] + skills + d["omega"] * rng.normal(size=mean.shape)
    typical, bend = reference.typical, d["bend"]
    k = typical / (bend * (1 - (1 - typical) ** (1 / bend)))
    at = np.log((1 - typical) ** (-1 / bend) - 1) - k * np.log(typical / (1 - typical))
    expected = d["gamma"] + (1 - d["gamma"]) * (1 - (1 + np.exp(at + k * eta)) ** -bend)
    np.testing.assert_allclose(mean.mean(0), expected.mean(0), atol=0.05)
    np.testing.assert_allclose(mean.std(0), expected.std(0), atol=0.05)


def test_unknown_tokens_widen(fitted: sb.Fit) -> None:
    models = pd.DataFrame(
        {"model": ["told", "untold"], "family": "f0", "params": 2e10, "tokens": [1e12, np.nan]}
    )
    sd = sb.predict(fitted, models, kind="mean").groupby("model")["sd"].mean()
    assert sd["untold"] > sd["told"]


def test_a_misspelt_family_is_an_error_with_the_suggestion(fitted: sb.Fit) -> None:
    models = pd.DataFrame({"model": ["m"], "family": ["f00"], "params": [1e9], "tokens": [1e12]})
    for family in ("f00", "F0"):
        with pytest.raises(ValueError, match="did you mean 'f0'"):
            sb.predict(fitted, models.assign(family=family))
    assert (sb.predict(fitted, models, new_families=["f00"])["kind"] == "new family").all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"prob": (90,)}, "between 0 and 1"), ({"kind": "median"}, "'score' or 'mean'")],
)
def test_bad_arguments(fitted: sb.Fit, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sb.predict(fitted, fitted.observations.models.head(1), **arguments)


def test_percent_and_billions_are_refused(fitted: sb.Fit) -> None:
    models = pd.DataFrame({"model": ["m"], "family": ["f0"], "params": [70], "tokens": [1e12]})
    with pytest.raises(sb.ObservationsError, match="billions"):
        sb.predict(fitted, models)


def test_log_score_is_the_density_of_the_predictive(fitted: sb.Fit, simulated) -> None:
    from scipy.stats import gaussian_kde

    truth = simulated[0].only(models=HELD_OUT)
    draws = sb.predictive_draws(fitted, truth.models)["score"].stack(s=("chain", "draw"))
    cells = [
        draws.sel(model=row.model, benchmark=row.benchmark).to_numpy()
        for row in truth.scores.itertuples()
    ]
    for level in (0.2, 0.5, 0.8):  # where draws are many enough to tell the density
        at = [float(np.quantile(cell, level)) for cell in cells]
        scores = sb.log_score(fitted, sb.Observations(truth.models, truth.scores.assign(score=at)))
        expected = [gaussian_kde(c).logpdf(x)[0] for c, x in zip(cells, at, strict=True)]
        np.testing.assert_allclose(scores["log_score"], expected, atol=0.3)


def test_other_scores_of_a_model_tell_of_its_score(fitted: sb.Fit) -> None:
    """The log score of a seen cell is given the model's others, as the log likelihood of the fit is."""
    likelihood = fitted.tree["log_likelihood"]["score"].stack(sample=("chain", "draw"))
    known = fitted.observations.without(models=HELD_OUT)
    one = known.only(benchmarks=["gsm"])
    cells = [f"{m} / gsm" for m in one.scores["model"]]
    expected = logsumexp(likelihood.sel(score_obs=cells), axis=1) - np.log(
        likelihood.sizes["sample"]
    )
    np.testing.assert_allclose(sb.log_score(fitted, one)["log_score"], expected, atol=1e-6)

    # the same model under another name is one of its family that has not been seen
    seen = sb.predict(fitted, known.models)
    strange = sb.predict(fitted, known.models.assign(model=known.models["model"] + "-again"))
    assert seen["sd"].mean() < 0.97 * strange["sd"].mean()
    truth = known.scores.set_index(["model", "benchmark"])["score"]
    observed = truth.reindex(pd.MultiIndex.from_frame(seen[["model", "benchmark"]])).to_numpy()
    nearer = np.abs(seen["median"] - observed), np.abs(strange["median"] - observed)
    assert nearer[0].mean() < nearer[1].mean()


def test_posterior_predictive_scores_look_like_the_observed(fitted: sb.Fit, tmp_path) -> None:
    again = sb.load(sb.posterior_predictive(fitted, seed=4).save(tmp_path / "fit.nc"))
    replicated = again.tree["posterior_predictive"]["score"]
    observed = again.tree["observed_data"]["score"]
    assert replicated.dims == ("chain", "draw", "score_obs")
    assert list(replicated["score_obs"].values) == list(observed["score_obs"].values)
    low, high = replicated.quantile([0.05, 0.95], ["chain", "draw"])
    assert 0.85 <= float(((low <= observed) & (observed <= high)).mean()) <= 1.0
    assert float(abs(replicated.mean(["chain", "draw"]) - observed).mean()) < 0.05
    assert float(replicated.std(["chain", "draw"]).min()) > 0.003
    assert "posterior_predictive" not in fitted.tree.children


def test_importance_weights_turn_a_prior_into_the_posterior() -> None:
    """A standard normal prior and one observation of 2 with sd 1: the posterior is Normal(1, 1/2)."""
    mu = np.random.default_rng(0).normal(size=20_000)
    weight, pareto_k = importance_weights(-((2 - mu) ** 2) / 2)
    mean = (weight * mu).sum()
    assert weight.sum() == pytest.approx(1)
    assert mean == pytest.approx(1.0, abs=0.03)
    assert (weight * (mu - mean) ** 2).sum() == pytest.approx(0.5, abs=0.03)
    assert pareto_k < 0.7


QUICK = {"seed": 0, "sampler": sb.Nuts(draws=50, warmup=100)}


def test_condition_with_what_the_fit_knows_left_out() -> None:
    """A fit with unknown tokens; then a family with known ones, one benchmark, no chance, no items."""
    everything, _ = simulate(sb.FamilyIntercept(), table(4, 2, unknown_tokens=True), seed=1)
    fit = fit_quietly(sb.FamilyIntercept(), everything.without(families=["f3"]), **QUICK)
    new = everything.only(families=["f3"], benchmarks=["mmlu"])
    new = sb.Observations(new.models, new.scores[["model", "benchmark", "score"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few draws
        conditioned = sb.condition(fit, new)
    assert set(conditioned.observations.models["family"]) == {"f0", "f1", "f2", "f3"}
    assert np.isfinite(conditioned.tree["log_likelihood"]["score"]).all()
    assert np.isfinite(sb.log_score(fit, new, new_families=["f3"])["log_score"]).all()
    pd.testing.assert_series_equal(
        sb.log_score(fit, new, new_families=["f3"])["log_score"],
        sb.log_score(fit, everything.only(families=["f3"], benchmarks=["mmlu"]))["log_score"],
    )
    stranger = sb.Observations(new.models, new.scores.assign(benchmark="piqa"))
    for refuses in (sb.condition, sb.log_score):
        with pytest.raises(ValueError, match=r"no benchmark .*piqa"):
            refuses(fit, stranger)


def test_a_family_that_is_held_out_whole_is_new() -> None:
    observations, _ = simulate(sb.FamilyIntercept(), table(4, 2), seed=1)
    held_out = ["f0-0", "f0-1", "f1-1"]
    fit = fit_quietly(sb.FamilyIntercept(), observations, hold_out=held_out, **QUICK)
    kinds = sb.predict(fit, observations.models).groupby("family")["kind"].first()
    assert kinds.to_dict() == {"f0": "new family"} | dict.fromkeys(
        ("f1", "f2", "f3"), "known family"
    )


def test_condition_agrees_with_a_refit(fitted: sb.Fit, simulated) -> None:
    small = simulated[0].only(models=["f7-0"])
    planned = simulated[0].only(models=["f7-1", "f7-2", "f7-3"]).models
    before = sb.predict(fitted, planned, kind="mean", new_families=["f7"])
    conditioned = sb.condition(fitted, small)
    after = sb.predict(conditioned, planned, kind="mean")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        refit = sb.fit(
            sb.Sloth(),
            sb.Observations.concat(fitted.observations, small),
            seed=4,
            sampler=sb.Nuts(draws=250, warmup=300, chains=2),
            hold_out=HELD_OUT,
            reference=fitted.reference,
            progress=False,
        )
    again = sb.predict(refit, planned, kind="mean")
    assert (after["kind"] == "known family").all()
    # means and sds of about a hundred effective draws of skewed quantities: bounds of three
    # standard errors, 0.1 sd for a mean and 25% for an sd; over all cells errors average out
    z = (after["mean"] - again["mean"]) / again["sd"]
    assert np.abs(z).max() < 0.3
    ratio = np.log(after["sd"] / again["sd"])
    assert np.abs(ratio).max() < 0.75
    assert abs(ratio.mean()) < 0.25
    assert after["sd"].mean() < 0.8 * before["sd"].mean()
    about = conditioned.provenance["conditioned"][-1]
    assert about["families"] == ["f7"]
    assert about["pareto_k"] < 0.7
    # families that were known before keep their draws, up to resampling
    old = sb.predict(fitted, fitted.observations.only(models=HELD_OUT).models, kind="mean")
    new = sb.predict(conditioned, fitted.observations.only(models=HELD_OUT).models, kind="mean")
    assert (np.abs(old["mean"] - new["mean"]) / old["sd"]).max() < 0.5


def test_condition_refuses_known_families(fitted: sb.Fit) -> None:
    with pytest.raises(ValueError, match=r"knows .*f0.* already"):
        sb.condition(fitted, fitted.observations.only(models=["f0-0"]))


# --- mixtures -----------------------------------------------------------------------------------


def mixture(model: str, **weights: float) -> pd.DataFrame:
    return pd.DataFrame({"model": model, "source": list(weights), "weight": list(weights.values())})


MIXTURES = pd.concat(
    [
        mixture("f0-0", web=0.75, code=0.25),
        mixture("f0-1", web=1.0),
        mixture("f1-0", web=0.375, code=0.625),
        mixture("f3-0", code=1.0),
    ]
)


@pytest.fixture(scope="module")
def whole() -> sb.Observations:
    """Four families of two sizes, and what four of the models were trained on."""
    observations, _ = simulate(sb.FamilyIntercept(), table(4, 2), seed=1)
    return sb.Observations(observations.models, observations.scores, mixtures=MIXTURES)


@pytest.fixture(scope="module")
def mixed(whole: sb.Observations) -> sb.Fit:
    """A fit to all but the last family."""
    return fit_quietly(sb.FamilyIntercept(), whole.without(families=["f3"]), **QUICK)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The mixtures that a law is shown after a fit, in the order in which they are."""
    mixtures, design_of = [], sb.Fit.design_of

    def spy(*arguments: object) -> object:
        design = design_of(*arguments)
        mixtures.append(design.mixture)
        return design

    monkeypatch.setattr(sb.Fit, "design_of", spy)
    return mixtures


UNKNOWN = [np.nan, np.nan]


def test_a_design_tells_no_share_from_an_unknown_mixture(mixed: sb.Fit) -> None:
    assert mixed.design.labels("source") == ("web", "code")
    assert mixed.design.labels("model")[:4] == ("f0-0", "f0-1", "f1-0", "f1-1")
    np.testing.assert_array_equal(
        mixed.design.mixture,
        [[0.75, 0.25], [1.0, 0.0], [0.375, 0.625], UNKNOWN, UNKNOWN, UNKNOWN],
    )


def test_a_fit_keeps_its_mixtures_in_a_file(mixed: sb.Fit, tmp_path: Path) -> None:
    again = sb.load(mixed.save(tmp_path / "fit.nc"))
    assert again.observations == mixed.observations
    np.testing.assert_array_equal(again.design.mixture, mixed.design.mixture)


def test_files_of_the_first_schema_have_no_mixtures(mixed: sb.Fit, tmp_path: Path) -> None:
    with xr.open_datatree(mixed.save(tmp_path / "new.nc"), engine="h5netcdf") as opened:
        groups = {name: node.to_dataset() for name, node in opened.load().children.items()}
    about = json.loads(groups["scalebayes"]["about"].item()) | {"schema": 1}
    sampler = about["provenance"].pop("sampler")
    del sampler["sampler"]
    settings = {"seed": about["provenance"].pop("seed"), **sampler}
    about["provenance"] |= {"settings": settings, "staged": False}
    own = groups["scalebayes"].drop_vars("mixtures").assign(about=json.dumps(about))
    xr.DataTree.from_dict(groups | {"scalebayes": own}).to_netcdf(
        tmp_path / "old.nc", engine="h5netcdf"
    )
    old = sb.load(tmp_path / "old.nc")
    assert old.observations == sb.Observations(mixed.observations.models, mixed.observations.scores)
    assert (old.seed, old.sampler) == (mixed.seed, mixed.sampler)


def test_predict_takes_models_and_mixtures_of_observations(
    mixed: sb.Fit, whole: sb.Observations, shown: list[np.ndarray]
) -> None:
    models = whole.only(models=["f0-0", "f0-1", "f1-1"]).models
    models.loc[1, "model"] = "f0-1-again"
    asked = sb.Observations(models, mixtures=mixture("f0-1-again", code=0.9, web=0.1))
    sb.predict(mixed, asked)
    # what is given, then what the fit knows of the same model, or nothing
    np.testing.assert_array_equal(shown[-1], [[0.75, 0.25], [0.1, 0.9], UNKNOWN])
    sb.predict(mixed, models)
    np.testing.assert_array_equal(shown[-1], [[0.75, 0.25], UNKNOWN, UNKNOWN])
    average = sb.Average({"a": mixed, "b": mixed}, {"a": 0.5, "b": 0.5}, pd.DataFrame())
    sb.predictive_draws(average, asked)
    np.testing.assert_array_equal(shown[-1], [[0.75, 0.25], [0.1, 0.9], UNKNOWN])


def test_predict_minds_no_scores_of_observations(fitted: sb.Fit) -> None:
    asked = fitted.observations.only(models=[*HELD_OUT, "f2-0"])
    scores = asked.scores.replace({"benchmark": {"mmlu": "piqa"}}).assign(score=0.9)
    others = sb.Observations(asked.models, scores, asked.losses)
    pd.testing.assert_frame_equal(sb.predict(fitted, others), sb.predict(fitted, asked.models))


def test_log_score_and_condition_carry_mixtures(
    mixed: sb.Fit, whole: sb.Observations, shown: list[np.ndarray]
) -> None:
    new = whole.only(families=["f3"])
    sb.log_score(mixed, new, new_families=["f3"])
    np.testing.assert_array_equal(shown[-1], [[0.0, 1.0], UNKNOWN])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few draws
        conditioned = sb.condition(mixed, new)
    np.testing.assert_array_equal(shown[-1], [[0.0, 1.0], UNKNOWN])
    assert conditioned.observations.mixtures.equals(whole.mixtures)
    assert conditioned.design.labels("source") == ("web", "code")


def test_unknown_sources_are_refused(mixed: sb.Fit, whole: sb.Observations) -> None:
    new = whole.only(families=["f3"])
    strange = sb.Observations(new.models, new.scores, mixtures=mixture("f3-0", code=0.5, wiki=0.5))
    for refuses in (sb.predict, sb.log_score, sb.condition):
        with pytest.raises(ValueError, match=r"no source \['wiki'\], it has \['web', 'code'\]"):
            refuses(mixed, strange, **({} if refuses is sb.condition else {"new_families": ["f3"]}))


def test_a_model_of_the_fit_with_another_mixture_is_refused(
    mixed: sb.Fit, whole: sb.Observations
) -> None:
    models = whole.only(models=["f0-0", "f0-1"]).models
    other = sb.Observations(models, mixtures=mixture("f0-1", web=0.9, code=0.1))
    with pytest.raises(ValueError, match=r"knows 'f0-1' with another mixture: .* name of its own"):
        sb.predict(mixed, other)
    same = sb.Observations(models, mixtures=mixture("f0-1", code=0.0, web=1.0))
    assert sb.predict(mixed, same).equals(sb.predict(mixed, models))
