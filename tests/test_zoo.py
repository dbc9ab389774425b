"""The zoo of tables: what its files declare, and its simple opponents against what they should do."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import table

import scalebayes as sb
from benchmarks.zoo.opponents import N_DRAW, OPPONENTS, QUANTILES, _predictive
from benchmarks.zoo.table import entries, larger
from scalebayes.evaluation import scoring


def own_table() -> sb.Observations:
    """Scores and losses that rise with compute."""
    plain = table(3, 4)
    rng = np.random.default_rng(0)
    log_c = np.log10(plain.models.set_index("model")["flops"])
    scores, losses = plain.scores, plain.losses
    scores["score"] = (
        0.4 + 0.08 * (scores["model"].map(log_c) - 22) + rng.normal(0, 0.01, len(scores))
    )
    losses["loss"] = 3 * 10 ** (-0.05 * (losses["model"].map(log_c) - 22))
    return plain.with_tables(scores=scores, losses=losses)


def test_every_table_declares_its_role() -> None:
    found = entries()
    assert len(found) >= 10
    assert {entry.role for entry in found} <= {"development", "test"}
    assert all(callable(entry.table) for entry in found)


def test_the_larger_models_of_every_family_are_held_out() -> None:
    [fold] = larger(own_table(), keep=3)
    assert fold.hold_out == ("f0-3", "f1-3", "f2-3")


def test_least_squares_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    x, new = np.c_[np.ones(8), rng.normal(size=8)], np.array([[1.0, 2.0]])
    low, high = np.searchsorted(QUANTILES, [0.05, 0.95])
    inside = []
    for _ in range(2000):
        quantiles = _predictive(x, x @ [1.0, 2.0] + rng.normal(size=8), new)[0]
        inside.append(quantiles[low] < 5.0 + rng.normal() < quantiles[high])
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("name", OPPONENTS)
@pytest.mark.parametrize("of", ["score", "loss"])
def test_opponents_predict_what_is_hidden_without_seeing_it(name: str, of: str) -> None:
    observations = own_table()
    [fold] = larger(observations, keep=3)
    held = OPPONENTS[name](observations, fold, of)
    assert held.draws.shape == (3 * (4 if of == "score" else 5), N_DRAW)
    assert set(held.cells["model"]) == set(fold.hold_out)
    scores, losses = observations.scores, observations.losses
    scores.loc[scores["model"].isin(fold.hold_out), "score"] = 0.9
    losses.loc[losses["model"].isin(fold.hold_out), "loss"] = 9.0
    other = OPPONENTS[name](observations.with_tables(scores=scores, losses=losses), fold, of)
    np.testing.assert_array_equal(held.draws, other.draws)
    error = scoring.figures(scoring.scores(held))["error"].item()
    assert error < (1.0 if of == "loss" else 6.0)


def test_the_sibling_is_the_largest_that_is_seen() -> None:
    observations = own_table()
    [fold] = larger(observations, keep=3)
    held = OPPONENTS["largest sibling"](observations, fold, "score")
    known = observations.scores.set_index(["model", "benchmark"])["score"]
    expected = [
        known[row.model.replace("-3", "-2"), row.benchmark] for row in held.cells.itertuples()
    ]
    np.testing.assert_allclose(np.median(held.draws, axis=1), expected)
