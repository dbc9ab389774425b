"""Padded designs: what is predicted of a design's own rows does not change."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
from conftest import table

import scalebayes as sb
from scalebayes.model import design as designs
from scalebayes.prediction.padding import ARRAYS, padded


def test_every_array_of_a_design_is_known() -> None:
    by_label = {"chance", "covariate_of", "reference", "coords"}
    known = {name for names in ARRAYS.values() for name in names}
    assert known | by_label == {f.name for f in dataclasses.fields(designs.Design)}


def test_sizes_are_powers_of_two_and_own_rows_come_first() -> None:
    design = designs.build(table(5, 2, unknown_tokens=True))
    larger = padded(design)
    sizes = {dim: len(labels) for dim, labels in larger.coords}
    assert [sizes[k] for k in ("model", "family", "lineage", "run")] == [16, 8, 4, 16]
    assert (len(larger.score), len(larger.log_loss)) == (64, 64)
    for names in ARRAYS.values():
        for name in names:
            own = getattr(design, name)
            np.testing.assert_array_equal(getattr(larger, name)[: len(own)], own)
    assert set(larger.score_model[len(design.score) :]) == {10}
    assert larger.observed[len(design.score) :].all()
    assert len(dict.fromkeys(larger.labels("model"))) == 16


@pytest.mark.parametrize("unknown", [0, 1, 3])
def test_unknown_tokens_of_further_models_are_theirs(unknown: int) -> None:
    observations = table(2, 2)
    models = observations.models
    models.loc[: unknown - 1, ["tokens", "flops"]] = np.nan
    larger = padded(designs.build(sb.Observations(models, observations.scores)))
    assert larger.unknown_tokens[:unknown].tolist() == list(range(unknown))
    assert (larger.unknown_tokens[unknown:] >= 4).all()
    assert len(set(larger.unknown_tokens)) == len(larger.unknown_tokens) == [0, 1, None, 4][unknown]


def test_designs_of_similar_sizes_have_one_shape() -> None:
    shapes = {
        tuple(np.shape(v) for v in jax.tree.leaves(padded(designs.build(table(n, 2)))))
        for n in (5, 6)
    }
    assert len(shapes) == 1
