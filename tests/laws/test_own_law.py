"""Laws that a user writes go all the way: a law from ScoreLaw, and a subclass that bears a built-in law's name."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import fit_quietly, table
from jax import Array
from numpyro import distributions as dist
from numpyro import plate, sample

import scalebayes as sb
from scalebayes.evaluation import cross_validation
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.model import Design, specification
from scalebayes.report.figures import picture

NEW = "f3"
"""The family that no fit has seen."""


@dataclass(frozen=True, kw_only=True)
class Sized(sb.ScoreLaw):
    """A law of the test's own: a slope on size, and families that are shifted on all benchmarks alike."""

    story: ClassVar[str] = "eta_ij = b_j + a_f + x_i beta_j"

    b: dist.Distribution = sb.prior(
        lambda: dist.Normal(0.0, 1.5),
        "anywhere between floor and ceiling",
        sb.site("benchmark", phrase="intercept", informed_by="scores"),
    )
    beta: dist.Distribution = sb.prior(
        lambda: dist.Normal(1.0, 0.5),
        "larger models are better",
        sb.site("benchmark", phrase="slope on size", informed_by="size"),
    )
    a: ClassVar[sb.Site] = sb.site("family", phrase="families", informed_by="scores")

    def __call__(self, design: Design) -> None:
        """Tell the generative story."""
        x = (design.log_params - design.reference.log_n0) / 1.5
        with plate("benchmark", len(design.labels("benchmark"))):
            b, beta = sample("b", self.b), sample("beta", self.beta)
        with plate("family", len(design.labels("family"))):
            a = sample("a", dist.Normal(0.0, 1.0))
        eta = b + a[design.family][:, None] + x[:, None] * beta
        self.observe(eta, self.response(design), design)


def bent(power: int) -> Any:
    """A class with the name of a built-in law; those of all powers have the same fields, too."""

    @dataclass(frozen=True, kw_only=True)
    class FamilyIntercept(sb.FamilyIntercept):
        """The built-in law with one more site: ability bends with size."""

        story: ClassVar[str] = "eta_ij = (that of FamilyIntercept) + c_j x_i^power"
        c: dist.Distribution = sb.prior(
            lambda: dist.Normal(2.0, 0.1),
            "a strong bend, which the test would not miss",
            sb.site("benchmark", phrase="bend of ability", informed_by="size"),
        )

        def observe(self, eta: Array, to_score: Any, design: Design, *rest: Any) -> None:
            with plate("benchmark", len(design.labels("benchmark"))):
                c = sample("c", self.c)
            x = jnp.asarray(design.log_params - design.reference.log_n0) / 1.5
            super().observe(eta + c * x[:, None] ** power, to_score, design, *rest)

    return FamilyIntercept


Bent = bent(2)
SAMPLER = sb.Nuts(draws=40, warmup=60, chains=2)
both = pytest.mark.parametrize("name", ["own", "bent"])


@pytest.fixture(scope="module", autouse=True)
def _quick_to_compile() -> Iterator[None]:
    """Programs that run once are not worth the compiler's optimisations."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    plt.close("all")


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(specification, "_REGISTERED", specification.registered())


@pytest.fixture(scope="module")
def scores() -> sb.Observations:
    """Four families of three sizes with scores that the test's own law gives."""
    small = table(n_family=4, n_size=3).only(benchmarks=["arc", "gsm"])
    return sb.simulate(Sized(), sb.Observations(small.models, small.scores), seed=1)[0]


@pytest.fixture(scope="module")
def fits(scores: sb.Observations) -> dict[str, sb.Fit]:
    """Both laws, and the built-in one that the second has its name from, without the last family."""
    seen = scores.without(families=[NEW])
    laws: dict[str, sb.Law] = {"own": Sized(), "bent": Bent(), "built-in": sb.FamilyIntercept()}
    return {k: fit_quietly(law, seen, seed=1, sampler=SAMPLER) for k, law in laws.items()}


def test_a_subclass_is_not_fitted_as_the_law_whose_name_it_bears(fits: dict[str, sb.Fit]) -> None:
    """The bend is there, and with its narrow prior about 2 moves what the built-in law expects."""
    assert type(fits["bent"].law).__name__ == type(fits["built-in"].law).__name__
    posterior = {k: fit.tree["posterior"].to_dataset() for k, fit in fits.items()}
    assert abs(float(posterior["bent"]["c"].mean()) - 2) < 0.5
    assert "c" not in posterior["built-in"]
    assert not np.allclose(posterior["bent"]["b"], posterior["built-in"]["b"])


def test_priors_of_ones_own_are_listed(fits: dict[str, sb.Fit]) -> None:
    assert ("beta", "Normal(1, 0.5)", "larger models are better") in sb.priors(fits["own"].law)
    assert [name for name, *_ in sb.priors(fits["bent"].law)][-1] == "c"


@both
def test_known_and_new_families_are_predicted(fits: dict[str, sb.Fit], name: str) -> None:
    models = pd.DataFrame(
        {"model": ["k", "n"], "family": ["f0", "other"], "params": [2e10, 2e10], "tokens": 1e12}
    )
    found = sb.predict(fits[name], models, kind="mean").set_index(["model", "benchmark"])
    assert found["kind"].to_dict()["n", "gsm"] == "new family"
    sd = found["sd"].unstack("model")
    assert (sd["n"] > sd["k"]).all()


@both
def test_means_of_seen_models_are_those_of_the_fit(fits: dict[str, sb.Fit], name: str) -> None:
    fit = fits[name]
    draws = sb.predictive_draws(fit, fit.observations, kind="mean")["score"].to_numpy()
    np.testing.assert_allclose(draws, fit.tree["posterior"]["mu"].to_numpy(), rtol=1e-9)


@both
def test_a_new_family_is_conditioned_on(
    fits: dict[str, sb.Fit], scores: sb.Observations, name: str
) -> None:
    fit, larger = fits[name], scores.only(models=[f"{NEW}-2"])
    with pytest.warns(ConvergenceWarning, match="effective draws"):  # there are 80 draws in all
        known = sb.condition(fit, scores.only(models=[f"{NEW}-0"]))
    assert known.labels("family") == ["f0", "f1", "f2", NEW]
    before, after = (sb.predict(f, larger.models, kind="mean")["sd"].mean() for f in (fit, known))
    assert after < before


def test_laws_are_compared_and_averaged(fits: dict[str, sb.Fit], scores: sb.Observations) -> None:
    """The law that made the scores wins, and an average by the weights predicts between the two."""
    two = {k: fits[k] for k in ("own", "bent")}
    found = sb.compare(two, keep=[2], method="stacking")
    assert list(found.table.index) == ["own", "bent"]
    assert list(found.evidence["piece"]) == ["f0", "f1", "f2"]
    average = sb.average(two, found.weights)
    models = fits["own"].observations.only(models=["f0-2"])
    every: list[sb.Fit | sb.Average] = [*two.values(), average]
    each = [sb.predict(f, models)["mean"].to_numpy() for f in every]
    low, high = np.minimum(each[0], each[1]), np.maximum(each[0], each[1])
    assert ((each[2] > low - 0.03) & (each[2] < high + 0.03)).all()
    held = sb.held_out(average, scores.only(models=[f"{NEW}-1"]))
    assert list(held.cells["model"].unique()) == [f"{NEW}-1"]


@both
def test_plans_are_made_with_it(fits: dict[str, sb.Fit], name: str) -> None:
    """A larger model is more likely to reach a target; the map agrees with the single answer."""
    fit, targets = fits[name], {"gsm": 0.5}
    sizes = np.geomspace(1e9, 1e11, 3)
    chart = sb.target_map(fit, "f0", targets, params=sizes, tokens=[1e12])
    assert chart["probability"].is_monotonic_increasing
    models = pd.DataFrame(
        {"model": ["a", "b", "c"], "family": "f0", "params": sizes, "tokens": 1e12}
    )
    single = sb.target_probability(fit, models, targets)
    np.testing.assert_allclose(
        single.loc[single["benchmark"] == "gsm", "probability"], chart["probability"]
    )
    curve = sb.trajectory(fit, "f0", points=3, span=(1e9, 1e11))
    assert curve.groupby("benchmark")["median"].apply(lambda m: m.is_monotonic_increasing).all()


@both
def test_its_sites_are_judged_under_its_own_phrases(fits: dict[str, sb.Fit], name: str) -> None:
    groups = sb.identifiability(fits[name]).groups.set_index("group")
    site, phrase = {"own": ("beta", "slope on size"), "bent": ("c", "bend of ability")}[name]
    assert groups.loc[site, "phrase"] == phrase
    if name == "bent":  # two values of a prior with sd 0.1: the data add next to nothing
        assert groups.loc["c", "verdict"] in ("prior-driven", "prior conflict")
    else:
        assert float(groups["contraction"]["b"]) > 0.5


@both
def test_a_report_has_its_equations(fits: dict[str, sb.Fit], tmp_path: Path, name: str) -> None:
    fit = fits[name]
    page = sb.write_report(fit, tmp_path / "report.html").read_text()
    assert fit.law.story in page
    assert {"own": "slope on size", "bent": "bend of ability"}[name] in page


@both
@pytest.mark.parametrize("kind", ["intervals", "curves"])
def test_pictures_are_drawn(fits: dict[str, sb.Fit], name: str, kind: str) -> None:
    as_if = replace(fits[name], held_out=("f0-2",))  # the picture does not ask what the draws saw
    assert "90% intervals" in picture(as_if, kind).shows


@pytest.mark.parametrize(("name", "law"), [("own", Sized), ("bent", Bent)])
@pytest.mark.usefixtures("_registry")
def test_save_and_load(
    fits: dict[str, sb.Fit], tmp_path: Path, name: str, law: type[sb.ScoreLaw]
) -> None:
    """The file says what it needs; it takes a class that is given, or one that is registered."""
    fit = fits[name]
    path = fit.save(tmp_path / "fit.nc")
    with pytest.raises(ValueError, match=rf"load\(path, laws=\[{law.__name__}\]\).*register"):
        sb.load(path)
    loaded = sb.load(path, laws=[law])
    assert loaded.law == fit.law
    models = fit.observations.only(models=["f0-2"])
    pd.testing.assert_frame_equal(sb.predict(loaded, models), sb.predict(fit, models))
    if name == "bent":
        with pytest.raises(ValueError, match="another name"):
            sb.register(law)
    else:
        sb.register(law)
        assert type(sb.load(path).law) is law


class Refitted(Exception):
    """A fold was not found in its folder."""


def test_a_finished_fold_is_of_the_source_of_its_law(
    scores: sb.Observations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same law finds it there; one of the same name and fields with another story does not."""
    seen = scores.without(families=[NEW])
    fold = sb.folds.Fold("the largest of f0", ("f0-2",))
    again = functools.partial(
        sb.cross_validate, folds=[fold], seed=1, folder=tmp_path, sampler=SAMPLER
    )
    first = again(Bent(), seen)
    assert len(list(tmp_path.glob("*.npz"))) == 1

    def refit(*arguments: Any, **others: Any) -> sb.Fit:
        raise Refitted

    monkeypatch.setattr(cross_validation, "sample_posterior", refit)
    np.testing.assert_array_equal(again(Bent(), seen).draws, first.draws)
    other = bent(4)
    assert specification.specification(other()) == specification.specification(Bent())
    with pytest.raises(Refitted):
        again(other(), seen)
    with pytest.raises(Refitted):
        again(Bent(c=dist.Normal(2.0, 0.2)), seen)
