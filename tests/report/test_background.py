"""What the page says of data and sampler, where the fit of other tests has no covariates and no stages."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.inference.sampling import sampler_specification
from scalebayes.report import background
from scalebayes.report.summary import about, flat


@pytest.fixture
def with_covariates(fitted: sb.Fit) -> sb.Fit:
    """The fit as if its law used two of three covariates: only what describes it has changed."""
    own = fitted.observations
    n = len(own.models)
    models = own.models[["model", "family", "lineage", "params", "tokens"]].assign(
        year=[2021.0 + i % 4 for i in range(n)],
        stage=["chat" if i % 3 == 0 else "base" for i in range(n)],
        lab=["x"] * n,
    )
    declared = {"year": "numeric", "stage": ["base", "sft", "chat"], "lab": "category"}
    observations = sb.Observations(
        models, own.scores, own.losses, own.mixtures, covariates=declared
    )
    return replace(
        fitted, law=replace(fitted.law, covariates=("year", "stage")), observations=observations
    )


def test_covariates_of_the_law_are_among_the_data(with_covariates: sb.Fit) -> None:
    table = background.data(with_covariates).tables["Covariates"]
    n = len(with_covariates.observations.models)
    assert table.to_numpy().tolist() == [
        ["year", "numeric", n, "2021 to 2024"],
        ["stage", "ordered", n, f"base ({n - -(-n // 3)}) < sft (0) < chat ({-(-n // 3)})"],
    ]
    choices = background.law(with_covariates).tables["Choices of the law"]
    assert choices.set_index("choice").loc["covariates", "value"] == "year, stage"


def test_a_law_without_covariates_has_no_table_of_them(fitted: sb.Fit) -> None:
    assert "Covariates" not in background.data(fitted).tables


def test_values_of_covariates() -> None:
    models = pd.DataFrame({"share": [0.125, None, 0.5], "lab": ["x", "y", "x"], "year": [2024] * 3})
    declared = [
        sb.Covariate("share", "numeric"),
        sb.Covariate("lab", "category", ("y", "x")),
        sb.Covariate("year", "numeric"),
    ]
    table = background.covariates(models, declared).set_index("covariate")
    assert table["values"].tolist() == ["0.125 to 0.5", "y (1), x (2)", "2024"]
    assert table["models"].tolist() == [2, 3, 3]


def test_settings_of_a_staged_sampler_are_shown_one_by_one(fitted: sb.Fit) -> None:
    sampler = sb.Staged(sb.Nuts(draws=12, chains=3))
    provenance = {**fitted.provenance, "sampler": sampler_specification(sampler)}
    staged = replace(fitted, provenance=provenance)
    shown = background.sampler_settings(staged).set_index("setting")["value"]
    assert shown["sampler"] == "Staged"
    assert shown["within: sampler"] == "Nuts"
    assert (shown["within: draws"], shown["within: chains"]) == (12, 3)
    assert not [v for v in shown if isinstance(v, dict)]
    facts = background.provenance(staged, seed=5).tables["Settings, versions and data"]
    facts = facts.set_index(["part", "name"])["value"]
    assert facts["setting", "within: draws"] == "12"
    assert facts["this page", "seed of predictive draws"] == "5"


def test_settings_of_nuts_are_those_of_the_fit(fitted: sb.Fit) -> None:
    shown = background.sampler_settings(fitted).set_index("setting")["value"]
    assert shown.to_dict() == about(fitted)["settings"]
    assert (shown["sampler"], shown["draws"], shown["warmup"], shown["seed"]) == (
        "Nuts",
        250,
        300,
        1,
    )


def test_flat_keeps_every_value() -> None:
    assert flat({"a": 1, "b": {"c": 2, "d": {"e": 3}}}) == {"a": 1, "b: c": 2, "b: d: e": 3}
