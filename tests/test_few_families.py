"""Simulated tables of few families: what the generator promises, and figures by number of families."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.few_families.__main__ import by_families, se_of_coverage
from benchmarks.few_families.generator import N_BENCHMARK, SHAPES, simulated


@pytest.fixture(scope="module")
def tables() -> list:
    return [simulated(number) for number in range(60)]


def test_tables_of_one_shape_differ_in_values_alone(tables: list) -> None:
    for number, (shape, observations, fold) in enumerate(tables):
        assert shape == SHAPES[number % len(SHAPES)]
        models = observations.models
        assert len(models) == shape.families * shape.sizes * shape.budgets
        assert len(observations.scores) == len(models) * N_BENCHMARK
        assert len(fold.hold_out) == shape.families * shape.hidden * shape.budgets
        _, first, first_fold = tables[number % len(SHAPES)]
        assert list(models["model"]) == list(first.models["model"])
        assert fold.hold_out == first_fold.hold_out
        hidden = models[models["model"].isin(fold.hold_out)]
        seen = models[~models["model"].isin(fold.hold_out)]
        largest_seen = seen.groupby("family")["params"].max()
        assert (hidden["params"] > hidden["family"].map(largest_seen)).all()


def test_shapes_are_one_to_three_families_of_three_to_six_sizes() -> None:
    assert {shape.families for shape in SHAPES} == {1, 2, 3}
    assert {shape.sizes for shape in SHAPES} == {3, 4, 5, 6}


def test_a_table_is_made_again_from_its_number(tables: list) -> None:
    _, again, _ = simulated(7)
    pd.testing.assert_frame_equal(again.scores, tables[7][1].scores)
    assert not again.scores["score"].equals(tables[1][1].scores["score"])


def test_scores_rise_with_size_and_tokens_and_are_whole_numbers_of_items(tables: list) -> None:
    rises = []
    for _, observations, _ in tables:
        scores = observations.scores
        items = scores["score"] * scores["n_items"]
        np.testing.assert_allclose(items, items.round(), atol=1e-6)
        log_c = np.log(observations.models.set_index("model")["flops"])
        for _, own in scores.groupby("benchmark"):
            rises.append(np.corrcoef(own["model"].map(log_c), own["score"])[0, 1] > 0)
    assert np.mean(rises) > 0.95


def test_tokens_follow_every_rule(tables: list) -> None:
    proportional, constant = [], []
    for shape, observations, _ in tables:
        if shape.budgets > 1:
            continue
        for _, own in observations.models.groupby("family"):
            proportional.append(np.ptp(np.log(own["tokens"] / own["params"])) < 1e-6)
            constant.append(np.ptp(np.log(own["tokens"])) < 1e-6)
    assert 0.15 < np.mean(proportional) < 0.55
    assert 0.15 < np.mean(constant) < 0.55
    assert np.mean(proportional) + np.mean(constant) < 0.9


def cells(n_table: int, n_value: int, method: str = "Sloth", crps: float = 1.0) -> pd.DataFrame:
    """Judged values of tables of which all values are inside, or none."""
    inside = np.repeat(np.arange(n_table) % 4 > 0, n_value)
    plain = dict.fromkeys(["median", "observed", "lower_90", "error", "interval_score"], 0.0)
    return pd.DataFrame(
        {
            "fold": np.repeat([f"table {n}" for n in range(n_table)], n_value),
            "families": np.repeat(1 + np.arange(n_table) % 2, n_value),
            "model": "m",
            "column": "b",
            "of": "score",
            "method": method,
            "inside_50": inside,
            "inside_90": inside,
            "crps": crps / 100,
            "upper_90": 0.2,
            "converged": True,
            "rhat": 1.0,
            "seconds": 3.0,
            **plain,
        }
    )


def test_the_standard_error_counts_tables_rather_than_values() -> None:
    expected = np.sqrt(0.75 * 0.25 / 399)
    assert se_of_coverage(cells(400, 10)) == pytest.approx(expected)
    assert np.isnan(se_of_coverage(cells(1, 10)))


def test_figures_by_number_of_families_and_pooled() -> None:
    found = by_families(pd.concat([cells(40, 5), cells(40, 5, "line in log C", 2.0)]))
    assert list(found["families"]) == ["1", "1", "2", "2", "all", "all"]
    [one, two, every] = found[found["method"] == "Sloth"].to_dict("records")
    assert (one["tables"], every["tables"], every["cells"]) == (20, 40, 200)
    assert (one["coverage_90"], two["coverage_90"], every["coverage_90"]) == (0.5, 1.0, 0.75)
    assert every["crps_ratio"] == pytest.approx(0.5)
    assert every["seconds_a_fit"] == pytest.approx(3.0)
    assert every["width_90"] == pytest.approx(20.0)
