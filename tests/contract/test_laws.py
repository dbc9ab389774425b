"""What every law must keep, run over all laws that are installed and over one of the test's own. It names none."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import table
from numpyro import distributions as dist
from numpyro import handlers, plate, sample
from numpyro.infer.util import log_density

import scalebayes as sb
from scalebayes.identifiability.remedies import NEEDS
from scalebayes.inference.compilation import jit
from scalebayes.inference.sampling import site_shapes
from scalebayes.laws import by_name
from scalebayes.model import design as designs
from scalebayes.model.design import Design
from scalebayes.model.law import Law, Source, priors
from scalebayes.model.score_law import ScoreLaw, inputs
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.specification import from_specification, specification

COVARIATES: dict[str, Any] = {
    "year": "numeric",
    "stage": "category",
    "grade": ["low", "mid", "top"],
}


@dataclass(frozen=True, kw_only=True)
class OwnLaw(ScoreLaw):
    """A law of the test's own: a slope on size alone, and families."""

    story: ClassVar[str] = "eta_ij = b_j + a_fj + x_i beta_j"
    references: ClassVar[tuple[Source, ...]] = (Source("A test", "https://example.org"),)

    slopes: bool = True
    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.5),
        "anywhere",
        site("benchmark", phrase="intercept", informed_by="scores"),
    )
    beta: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.0),
        "a logit or so",
        site("benchmark", phrase="slope", informed_by="size"),
    )
    a: ClassVar[Site] = site("family", "benchmark", phrase="families", informed_by="scores")

    def __call__(self, design: Design) -> None:
        """Tell the generative story."""
        n_benchmark = design.chance.shape[0]
        x = inputs(design)[:, :1]
        with plate("benchmark", n_benchmark):
            b = sample("b", self.b)
            beta = sample("beta", self.beta) if self.slopes else jnp.zeros(n_benchmark)
        n_family = design.lineage.shape[0]
        with plate("family", n_family, dim=-2), plate("benchmark", n_benchmark, dim=-1):
            a = sample("a", dist.Normal(0.0, 1.0))
        eta = b + a[design.family] + x * beta
        gamma = self.covariate_effects(design)
        if gamma is not None:
            eta = eta + design.covariates @ gamma
        self.observe(eta, self.response(design), design)


def other_choices(law: type[Law]) -> Law:
    """The law with the last value of every choice, with covariates, as far as it allows them together."""
    types = get_type_hints(law)
    wanted: dict[str, Any] = {"covariates": tuple(COVARIATES)}
    for f in dataclasses.fields(law):
        kind = types[f.name]
        if kind is bool:
            wanted[f.name] = not f.default
        if get_origin(kind) is Literal:
            wanted[f.name] = next(v for v in get_args(kind)[::-1] if v != f.default)
    return law(**wanted)


LAWS = [*by_name().values(), OwnLaw]
CASES = {
    **{f"{law.__name__}, defaults": law() for law in LAWS},
    **{f"{law.__name__}, other choices": other_choices(law) for law in LAWS},
}
every_law = pytest.mark.parametrize("law", CASES.values(), ids=CASES.keys())
every_class = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


@pytest.fixture(scope="module", autouse=True)
def _in_double_precision() -> Iterator[None]:
    """All in double precision."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@functools.cache
def observations() -> sb.Observations:
    """A table with unknown tokens, mixtures, losses and covariates of all kinds."""
    plain = table(unknown_tokens=True)
    rng = np.random.default_rng(1)
    models = plain.models
    models["year"] = rng.normal(2024, 1, len(models))
    models["stage"] = rng.choice(["base", "chat"], len(models))
    models["grade"] = rng.choice(["low", "mid", "top"], len(models))
    return sb.Observations(
        models, plain.scores, plain.losses, plain.mixtures, covariates=COVARIATES
    )


def design_of(law: Law) -> Design:
    own = observations().covariates
    return designs.build(observations(), covariates=[own[name] for name in law.covariates])


@functools.cache
def prior_draws(law: Law) -> dict[str, np.ndarray]:
    """Draws of all sites, and of scores and losses, each (draw, ...).

    Operation by operation: these are compiled once for all laws, where a program of a law is compiled for it alone.
    """
    data = design_of(law)

    def one(key: Any) -> dict[str, Any]:
        sites, noise, noise_of_losses = jax.random.split(key, 3)
        trace = handlers.trace(handlers.seed(law, sites)).get_trace(data)
        if "loss" in trace:  # scores are to be those of the simulated losses
            log_loss = trace["loss"]["fn"].sample(noise_of_losses)
            simulated = dataclasses.replace(data, log_loss=log_loss)
            trace = handlers.trace(handlers.seed(law, sites)).get_trace(simulated)
            trace["loss"]["value"] = log_loss
        trace["score"]["value"] = trace["score"]["fn"].sample(noise)
        return {k: jnp.asarray(s["value"]) for k, s in trace.items() if s["type"] != "plate"}

    with jax.enable_x64(True):
        found = jax.vmap(one)(jax.random.split(jax.random.key(0), 100))
    found["score"] = jnp.clip(found["score"], 0.0, 1.0)
    return {k: np.asarray(v) for k, v in found.items()}


@functools.cache
def density(law: Law) -> Any:
    """Compiled log density and gradient at values of the sampled sites."""
    value = jax.value_and_grad(lambda v, data: log_density(law, (data,), {}, v)[0])
    return jit(value, briefly=True)


def sampled(law: Law, data: Design, draw: int) -> dict[str, np.ndarray]:
    """Values of the sampled sites in a draw from the prior."""
    return {k: prior_draws(law)[k][draw] for k in site_shapes(law, data)}


def log_joint(law: Law, values: dict[str, Any], data: Design) -> tuple[Any, dict[str, Any]]:
    """Log density of a draw, and its gradient."""
    with jax.enable_x64(True):
        return density(law)(values, data)


@every_class
def test_a_law_is_a_value(law: type[Law]) -> None:
    assert law() == law()
    assert hash(law()) == hash(law())
    assert law() != other_choices(law)
    assert pickle.loads(pickle.dumps(law())) == law()
    field = next(f.name for f in dataclasses.fields(law) if f.metadata.get("reason"))
    assert law() != law(**{field: dist.Beta(3.0, 5.0)})
    assert law(**{field: dist.Beta(3.0, 5.0)}) == law(**{field: dist.Beta(3.0, 5.0)})
    assert law(**{field: dist.Beta(3.0, 5.0)}) != law(**{field: dist.Beta(3.0, 4.0)})

    @dataclass(frozen=True, kw_only=True)
    class Another(law):
        """The same fields, another story."""

    Another.__name__ = Another.__qualname__ = law.__name__
    assert Another() != law()


@every_class
def test_a_law_says_what_it_is(law: type[Law]) -> None:
    assert (law.__doc__ or "").strip()
    assert law.story != law.__doc__
    assert " = " in law.story or "~" in law.story
    assert law.references
    assert all(source.url.startswith("https://") for source in law.references)


@every_class
def test_every_prior_has_a_reason(law: type[Law]) -> None:
    named = {name for name, _, reason in priors(law()) if reason}
    fields = {
        f.name
        for f in dataclasses.fields(law)
        if isinstance(getattr(law(), f.name), dist.Distribution)
    }
    assert fields <= named


def variants(law: type[Law]) -> Iterator[Law]:
    """The defaults, the other choices together, and each other choice alone, where the law allows it."""
    yield law()
    last = other_choices(law)
    yield last
    for f in dataclasses.fields(law):
        if getattr(last, f.name) != getattr(law(), f.name):
            for covariates in ((), tuple(COVARIATES)):
                choice = {"covariates": covariates, f.name: getattr(last, f.name)}
                with contextlib.suppress(ValueError):
                    yield law(**choice)


@functools.cache
def met_sites(law: Law) -> dict[str, Any]:
    """Sites that the story of a law meets, by name."""
    found: dict[str, Any] = {}

    def story(key: Any, data: Design) -> None:
        trace = handlers.trace(handlers.seed(law, key)).get_trace(data)
        found.update({k: s for k, s in trace.items() if s["type"] != "plate"})

    jax.eval_shape(story, jax.random.key(0), design_of(law))
    return found


@every_class
def test_every_site_is_declared_and_every_declared_site_is_used(law: type[Law]) -> None:
    """By some variant of the law, or of a law that is made from it."""
    met: set[str] = set()
    for own in (other for other in LAWS if issubclass(other, law)):
        for variant in variants(own):
            met |= set(found := met_sites(variant))
            for name, message in found.items():
                declared = variant.sites[name]
                assert declared.phrase, f"{name} has no phrase"
                if message["type"] == "sample" and not message["is_observed"]:
                    rotated = not declared.informed_by and bool(variant.rotated)
                    assert rotated or declared.informed_by in {*NEEDS, "inputs"}, name
    assert set(law().sites) - met == set()


@every_law
def test_every_site_has_named_dims_of_its_shape(law: Law) -> None:
    data = design_of(law)
    labels = dict(data.coords) | law.coords()
    found = prior_draws(law)
    expected = {name for name, declared in law.sites.items() if declared.expects}
    assert expected & set(found)
    assert "score" in found
    for name, value in found.items():
        dims = law.dims[name]
        assert len(value.shape) == 1 + len(dims), name
        for dim, size in zip(dims, value.shape[1:], strict=True):
            if dim in labels:
                assert size == len(labels[dim]), (name, dim)


@every_law
def test_prior_predictive_scores_look_like_scores(law: Law) -> None:
    draws = prior_draws(law)
    scores = draws["score"]
    assert all(np.isfinite(v).all() for v in draws.values())
    assert 0.2 < np.median(scores) < 0.8
    assert np.std(scores) > 0.1  # the prior has not decided what scores are
    assert np.mean((scores == 0) | (scores == 1)) < 0.25


@every_law
def test_gradients_are_finite(law: Law) -> None:
    data = design_of(law)
    _, gradient = log_joint(law, sampled(law, data, 1), data)
    assert all(np.isfinite(np.asarray(g)).all() for g in gradient.values())


@every_law
def test_specification_round_trip(law: Law) -> None:
    known = {**by_name(), "OwnLaw": OwnLaw}
    text = json.dumps(specification(law))
    assert from_specification(json.loads(text), known) == law


@every_law
def test_a_hidden_score_does_not_enter(law: Law) -> None:
    data = design_of(law)
    seen = np.arange(data.score.shape[0]) > 5
    hidden = data.observing(seen)
    changed = dataclasses.replace(hidden, score=np.where(seen, hidden.score, 0.9))
    values = sampled(law, hidden, 2)
    one, other = (log_joint(law, values, d)[0] for d in (hidden, changed))
    assert one == other


@every_law
def test_a_hidden_loss_does_not_enter(law: Law) -> None:
    data = design_of(law)
    seen = np.arange(len(data.log_loss)) > 5
    hidden = dataclasses.replace(data, loss_observed=seen)
    changed = dataclasses.replace(hidden, log_loss=np.where(seen, hidden.log_loss, 0.9))
    values = sampled(law, hidden, 2)
    one, other = (log_joint(law, values, d)[0] for d in (hidden, changed))
    assert one == other


@every_law
def test_a_reflection_leaves_the_density_as_it_is(law: Law) -> None:
    data = design_of(law)
    values = sampled(law, data, 6)
    signs = law.reflection(data)
    rng = np.random.default_rng(0)
    even = [name for name, declared in law.sites.items() if declared.even and name in values]
    turned = {k: rng.choice([-1.0, 1.0], values[k].shape) for k in even}
    mirrored = {k: v * signs.get(k, 1.0) * turned.get(k, 1.0) for k, v in values.items()}
    one, other = (log_joint(law, v, data)[0] for v in (values, mirrored))
    assert float(one) == pytest.approx(float(other), rel=1e-5)


@every_law
def test_covariates_shift_scores(law: Law) -> None:
    """With one covariate changed, expected scores of that model change, and of no other family's."""
    if not law.covariates:
        pytest.skip("the case has no covariates")
    data = design_of(law)
    values = sampled(law, data, 3)
    moved = np.asarray(data.covariates).copy()
    moved[0] += 1.0
    expected = [
        handlers.trace(handlers.seed(handlers.substitute(law, values), 0)).get_trace(
            dataclasses.replace(data, covariates=covariates)
        )["mu"]["value"]
        for covariates in (data.covariates, moved)
    ]
    change = np.abs(np.asarray(expected[0]) - np.asarray(expected[1])).max(axis=1)
    assert change[0] > 1e-6
    assert change[1:].max() == 0


def test_a_law_that_is_not_known_is_asked_for() -> None:
    spec = specification(OwnLaw())
    with pytest.raises(ValueError, match=r"load\(path, laws=\[OwnLaw\]\).*register"):
        from_specification(spec, by_name())
    assert from_specification(spec, by_name(), [OwnLaw]) == OwnLaw()


@every_class
def test_a_law_of_the_same_name_is_not_taken_for_another(law: type[Law]) -> None:
    spec = specification(law())
    foreign = {**spec, "module": "somewhere.else"}
    with pytest.raises(ValueError, match=r"cannot read law"):
        from_specification(foreign, by_name())


def test_newer_schemas_are_refused() -> None:
    with pytest.raises(ValueError, match="newer scalebayes"):
        from_specification({"schema": "scalebayes.law/9", "law": "X", "fields": {}}, by_name())
