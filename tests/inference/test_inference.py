"""Sampling: recovery, reproducibility, one compilation for all subsets, save and load, refusals."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from conftest import HELD_OUT, table
from numpyro import distributions as dist

import scalebayes as sb
from scalebayes.inference import chain, diagnostics, metric, nuts
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.inference.sampling import site_shapes
from scalebayes.model import design


def test_simulated_expectations_are_recovered(
    fitted: sb.Fit, simulated: tuple[sb.Observations, dict[str, np.ndarray]]
) -> None:
    observations, truth = simulated
    names = list(observations.models["model"])
    rows = [names.index(m) for m in fitted.design.labels("model")]
    mu = fitted.tree["posterior"]["mu"].stack(sample=("chain", "draw")).to_numpy()
    lower, upper = np.quantile(mu, [0.05, 0.95], axis=-1)
    covered = (lower <= truth["mu"][rows]) & (truth["mu"][rows] <= upper)
    assert 0.75 <= covered.mean() <= 0.99
    assert np.abs(np.median(mu, axis=-1) - truth["mu"][rows]).mean() < 0.03


def test_tree_is_arviz_schema_with_named_dims(fitted: sb.Fit) -> None:
    groups = "posterior log_likelihood log_prior sample_stats observed_data constant_data"
    assert set(groups.split()) <= set(fitted.tree.children)
    likelihood = fitted.tree["log_likelihood"]["score"]
    assert likelihood.dims == ("chain", "draw", "score_obs")
    n_held = int(fitted.observations.scores["model"].isin(HELD_OUT).sum())
    assert likelihood.sizes["score_obs"] == len(fitted.observations.scores) - n_held
    for variable in fitted.tree["posterior"].to_dataset().data_vars.values():
        assert not [d for d in variable.dims if "_dim_" in str(d)]
    assert {"diverging", "n_steps", "energy", "tree_depth", "lp", "step_size"} <= set(
        fitted.tree["sample_stats"].data_vars
    )


def test_loo_runs_on_the_tree(fitted: sb.Fit) -> None:
    import arviz_stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # high Pareto k in a short fit of a small table
        result = arviz_stats.loo(fitted.tree, pointwise=False)
    assert np.isfinite(result.elpd)


def test_another_subset_does_not_compile_again(fitted: sb.Fit) -> None:
    start, advance = chain.compiled_chain(False, *key_of(fitted))
    before = start._cache_size(), advance._cache_size()
    with pytest.warns(ConvergenceWarning):
        sb.fit(
            sb.Sloth(),
            fitted.observations,
            seed=2,
            sampler=sb.Nuts(draws=50, warmup=300, chains=1),
            hold_out=["f2-3"],
            progress=False,
        )
    start, advance = chain.compiled_chain(False, *key_of(fitted))
    # programs may have been forgotten to make room for those of other tests
    assert (start._cache_size(), advance._cache_size()) == tuple(max(n, 1) for n in before)


def key_of(fit: sb.Fit) -> tuple[object, ...]:
    settings = fit.sampler
    assert isinstance(settings, sb.Nuts)
    return (
        settings.chains * (settings.warmup + settings.draws) <= nuts.FEW_ITERATIONS,
        fit.law,
        settings.max_tree_depth,
        tuple(sorted(chain.dense_sites(fit.law, fit.design, site_shapes(fit.law, fit.design)))),
    )


SCRIPT = """
import sys, warnings
sys.path.insert(0, {tests!r})
warnings.simplefilter("ignore")
import scalebayes as sb
from conftest import table
from scalebayes.prediction.simulation import simulate
law = sb.FamilyIntercept()
observations, _ = simulate(law, table(3, 2), seed=0)
sampler = sb.Nuts(draws=20, warmup=50, chains=2)
fit = sb.fit(law, observations, seed=5, sampler=sampler, progress=False)
print(repr(fit.tree["posterior"]["mu"].to_numpy().sum()))
"""


def test_same_seed_same_draws_in_fresh_processes() -> None:
    script = SCRIPT.format(tests=str(__file__.rsplit("/", 2)[0]))
    first, second = (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stdout
    assert first.stdout == second.stdout


def test_a_thinned_fit_is_judged_by_all_its_draws(
    fitted: sb.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sb.load(fitted.save(tmp_path / "whole.nc"))
    expected, asked = whole.verdict, []
    assert expected == fitted.verdict
    check = diagnostics.check
    assert whole.judged == expected  # read, and not computed again
    monkeypatch.setattr(diagnostics, "check", lambda *a: (asked.append(a), check(*a))[1])
    few = whole.thinned(40)
    assert few.n_draws == 40
    again = sb.load(few.thinned(20).save(tmp_path / "few.nc"))
    assert few.verdict == again.verdict == expected
    assert asked == []  # the verdict takes time, and is known
    assert check(few.tree, ["mu"]).min_ess_bulk < expected.min_ess_bulk


def test_new_draws_of_a_thinned_fit_are_judged_anew(fitted: sb.Fit) -> None:
    few = fitted.thinned(60)
    scores = few.observations.only(models=["f2-0"])
    new = sb.Observations(
        scores.models.assign(model="g-0", run="g-0", family="g"),
        scores.scores.assign(model="g-0"),
    )
    with pytest.warns(ConvergenceWarning, match="importance sampling"):
        extended = sb.condition(few, new)
    assert extended.judged is None


def test_save_and_load(fitted: sb.Fit, tmp_path) -> None:
    path = fitted.save(tmp_path / "fit.nc")
    again = sb.load(path)
    assert again.observations == fitted.observations
    assert again.held_out == fitted.held_out
    for name, value in vars(fitted.reference).items():
        np.testing.assert_array_equal(getattr(again.reference, name), value)
    assert again.provenance == fitted.provenance
    for group, node in fitted.tree.children.items():
        assert again.tree[group].to_dataset().identical(node.to_dataset()), group
    models = fitted.observations.models.head(2)
    assert sb.predict(again, models).equals(sb.predict(fitted, models))


def test_truncated_and_foreign_files_are_refused(fitted: sb.Fit, tmp_path) -> None:
    path = fitted.save(tmp_path / "fit.nc")
    (tmp_path / "cut.nc").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (tmp_path / "text.nc").write_text("not a fit")
    for name in ("cut.nc", "text.nc"):
        with pytest.raises(ValueError, match="not a complete fit"):
            sb.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"no file .*absent\.nc"):
        sb.load(tmp_path / "absent.nc")


def test_newer_schema_is_refused(fitted: sb.Fit, tmp_path, monkeypatch) -> None:
    from scalebayes.inference import files

    monkeypatch.setattr(files, "SCHEMA", 99)
    path = fitted.save(tmp_path / "fit.nc")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"schema 99.*upgrade scalebayes"):
        sb.load(path)


def test_verdict_names_failures_and_remedies(fitted: sb.Fit) -> None:
    tree = fitted.tree.copy(deep=True)
    tree["sample_stats"]["diverging"][:] = False
    tree["sample_stats"]["diverging"][0, :3] = True
    tree["posterior"]["mu"][0] += 1.0
    verdict = diagnostics.check(tree, ["mu"])
    assert not verdict.passed
    assert verdict.divergences == 3
    text = str(verdict)
    assert "NOT converged" in text
    assert "chains disagree" in text
    assert "raise target_accept" in text


def test_a_known_floor_must_be_known() -> None:
    observations = table(2, 2)
    scores = observations.scores.assign(chance=observations.scores["chance"].replace(0.5, np.nan))
    with pytest.raises(ValueError, match=r"needs the chance level .*wino"):
        sb.fit(sb.Sloth(floor="known"), sb.Observations(observations.models, scores), seed=0)


def test_one_program_for_all_chains() -> None:
    """The way of a GPU, with one chain, which takes a CPU no longer than another."""
    settings = sb.Nuts(draws=20, warmup=200, chains=1, chain_method="vectorized")
    law = sb.FamilyIntercept(b=dist.Normal(0.0, 1.0), sigma=dist.HalfCauchy(0.01))
    with (
        jax.enable_x64(True),
        nuts.Chains(law, design.build(table(3, 2)), settings, seed=0, progress=False) as chains,
    ):
        raw = chains.first()
    assert raw.z["b"].shape == (1, 20, 4)
    assert len(np.unique(raw.z["b"])) > 40
    assert np.isfinite(raw.lp).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": sb.Nuts(chain_method="vectorized")}, "needs a GPU"),
        ({"hold_out": ["nobody"]}, "cannot hold out .*nobody"),
        ({"hold_out": "f0-1"}, "must be a list of models"),
        ({"hold_out": list(table(2, 2).models["model"])}, "no scores and no losses to fit"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sb.fit(sb.Sloth(), table(2, 2), **{"seed": 0, **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws must be a whole number of at least 1"),
        ({"target_accept": 1.0}, "target_accept must lie between 0 and 1"),
        ({"chain_method": "sequential"}, "chain_method must be auto, threads or vectorized"),
    ],
)
def test_bad_settings_of_a_sampler_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sb.Nuts(**settings)


def test_a_reflection_of_rows_is_a_sign_for_each_draw() -> None:
    z = {"rows": np.ones((2, 50, 3, 2)), "row": np.ones((2, 50, 2))}
    z["rows"][1, ..., -1] = z["row"][1, ..., -1] = -1.0  # the second chain is mirrored
    reflection = {name: np.array([1.0, -1.0]) for name in z}
    for own, signs in enumerate(metric.mirrored(z, reflection, ())):
        for name in z:
            np.testing.assert_array_equal(
                z[name] * signs[name], np.broadcast_to(z[name][own], z[name].shape)
            )


def test_the_shared_metric_is_the_covariance_and_its_roots() -> None:
    rng = np.random.default_rng(0)
    root = np.array([[1.0, 0.0, 0.0], [2.0, 0.5, 0.0], [-1.0, 0.3, 3.0]])
    draws = rng.normal(size=(50_000, 3)) @ root.T
    inverse, mass_root, inverse_root = metric.metric(draws, dense=True)
    np.testing.assert_allclose(inverse, root @ root.T, atol=0.15)
    np.testing.assert_allclose(mass_root @ mass_root.T @ inverse, np.eye(3), atol=1e-8)
    np.testing.assert_allclose(mass_root @ inverse_root, np.eye(3), atol=1e-8)
    few = metric.metric(draws[:2], dense=True)[0]
    assert np.linalg.eigvalsh(few).min() > 0
    variance, scale, inverse_scale = metric.metric(draws, dense=False)
    np.testing.assert_allclose(variance, [1, 4.25, 10.09], rtol=0.05)
    np.testing.assert_allclose(scale * inverse_scale, 1)


def test_chains_share_metric_and_step_size(fitted: sb.Fit) -> None:
    start, _ = chain.compiled_chain(False, *key_of(fitted))
    reflection = fitted.law.reflection(fitted.design)
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        shapes = site_shapes(fitted.law, fitted.design).items()
        shift = {name: rng.uniform(-1, 1, shape) for name, shape in shapes}
        keys = jax.random.split(jax.random.key(0), 2)
        states = [start(key, shift, fitted.design) for key in keys]
        z = {k: 3 + rng.normal(size=(2, 200, *v.shape)) for k, v in states[0].z.items()}
        for name, sign in reflection.items():
            z[name][1] *= sign  # the second chain is in the mirrored mode
        shared = [s.adapt_state for s in metric.with_one_mass(states, z, reflection)]
        steps = {float(s.adapt_state.step_size) for s in metric.with_one_step_size(states)}
    one, two = ({k: np.asarray(v) for k, v in s.inverse_mass_matrix.items()} for s in shared)
    (block,) = (names for names in one if "loading" in names)
    signs = np.concatenate([np.ravel(reflection.get(k, np.ones(z[k].shape[2:]))) for k in block])
    assert (signs < 0).any()
    np.testing.assert_allclose(one[block], signs[:, None] * two[block] * signs, atol=1e-12)
    assert np.diag(one[block]).max() < 1.5  # that of one mode: over both it would be about 10
    for names, matrix in one.items():
        assert matrix.shape == states[0].adapt_state.inverse_mass_matrix[names].shape
        if names != block:
            np.testing.assert_array_equal(matrix, two[names])
    assert len(steps) == 1
