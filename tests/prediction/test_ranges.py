"""How far models lie outside the seen range: the columns, and the warning where it is too far to act on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import told

import scalebayes as sb
from scalebayes.data.compute import training_flops
from scalebayes.prediction.ranges import far_outside, outside_seen


def models(*sizes: tuple[float, float], names: bool = True) -> pd.DataFrame:
    """Models of given params and tokens."""
    table = pd.DataFrame(sizes, columns=["params", "tokens"])
    table["flops"] = training_flops(table["params"], table["tokens"])
    return table.assign(model=[f"m{i}" for i in range(len(table))]) if names else table


def seen(*sizes: tuple[float, float]) -> Any:
    """What a fit that has seen models of these params and tokens tells of them."""
    return SimpleNamespace(seen_models=models(*sizes))


BILLIONS = seen((1e8, 2e9), (1e9, 2e10), (1e9, 1e11))  # 20 to 100 tokens per parameter


def test_decades_of_flops_are_counted_from_the_largest_seen_model() -> None:
    found = outside_seen(BILLIONS, models((1e9, 1e11), (1e8, 1e10), (1e10, 1e12)))
    np.testing.assert_allclose(found["flops_past"], [0.0, -2.0, 2.0], atol=1e-12)
    assert (found["ratio_outside"] == 0).all()


def test_flops_of_the_table_count_and_not_6nd() -> None:
    table = models((1e9, 1e11)).assign(flops=6e22)  # as of sparse or repeated training
    assert outside_seen(BILLIONS, table)["flops_past"].tolist() == pytest.approx([2.0])


def test_tokens_per_parameter_are_signed_and_zero_inside() -> None:
    found = outside_seen(BILLIONS, models((1e9, 2e9), (1e9, 5e10), (1e9, 1e12), (1e9, np.nan)))
    np.testing.assert_allclose(found["ratio_outside"], [-1.0, 0.0, 1.0, np.nan], atol=1e-12)


def test_without_tokens_parameters_are_compared() -> None:
    found = outside_seen(BILLIONS, models((1e11, np.nan)))
    assert found["flops_past"].tolist() == pytest.approx([2.0])
    unknown = seen((1e9, np.nan), (1e8, np.nan))
    found = outside_seen(unknown, models((1e10, 1e12)))
    assert found["flops_past"].tolist() == pytest.approx([1.0])
    assert found["ratio_outside"].isna().all()
    (said,) = far_outside(unknown, models((1e14, np.nan)))
    assert "'m0' (1e+14 parameters, unknown tokens) lies 5.0 decades of parameters past" in said


def test_models_inside_and_somewhat_outside_are_not_told() -> None:
    assert far_outside(BILLIONS, models((1e9, 1e11), (3e9, 3e11), (1e9, 2.1e9))) == []


def test_the_worst_of_several_is_named() -> None:
    # 70B asked of runs of 1B
    (said,) = far_outside(BILLIONS, models((1e9, 1e11), (7e10, 1.4e12), (1e10, 1e12)))
    assert said.startswith(
        "'m1' (7e+10 parameters, 1.4e+12 tokens) lies 3.0 decades of training FLOPs past the largest model "
        "that the fit has seen (as does 1 more): beyond 1.5 decades"
    )
    assert said.endswith("fit larger models, or ask for smaller ones")


def test_size_and_tokens_swapped_are_asked_about() -> None:
    (said,) = far_outside(BILLIONS, models((2e10, 1e9)))
    assert "has 0.05 tokens per parameter, 2.6 decades below the 20 to 100" in said
    assert said.endswith("are params and tokens swapped?")
    (said,) = far_outside(BILLIONS, models((1e9, 1e9)))  # swapped it would be no nearer
    assert "swapped" not in said
    (said,) = far_outside(BILLIONS, models((2e10, 1e9), names=False))  # found, not given
    assert "swapped" not in said
    (said,) = far_outside(BILLIONS, models((1e8, 2e11), names=False))
    assert said.startswith(
        "a model (1e+08 parameters, 2e+11 tokens) has 2e+03 tokens per parameter"
    )
    assert "1.3 decades above" in said
    assert "swapped" not in said


def test_both_are_told_of_a_model_of_1e14_parameters() -> None:
    flops, ratio = far_outside(BILLIONS, models((1e14, 1e12)))
    assert "6.0 decades of training FLOPs" in flops
    assert "0.01 tokens per parameter" in ratio


# --- public functions ---------------------------------------------------------------------------

NEAR = pd.DataFrame({"model": ["near"], "family": "f0", "params": 3e10, "tokens": 1e12})
HUGE = pd.DataFrame({"model": ["huge"], "family": "f0", "params": 2e13, "tokens": 1e14})
TARGETS = {"mmlu": 0.5}
BOTH = pd.concat([NEAR, HUGE], ignore_index=True)

FAR = {
    "predict": lambda f: sb.predict(f, BOTH),
    "predictive_draws": lambda f: sb.predictive_draws(f, HUGE),
    "trajectory": lambda f: sb.trajectory(f, "f0", along="flops", span=(1e22, 1e28), points=2),
    "target_probability": lambda f: sb.target_probability(f, HUGE, TARGETS),
    "target_map": lambda f: sb.target_map(f, "f0", TARGETS, params=[2e13], tokens=[1e14]),
    "beats": lambda f: sb.beats(f, BOTH),
    "smallest_budget": lambda f: sb.smallest_budget(
        f, "f0", {"mmlu": 0.6}, probability=0.5, flops=(1e18, 1e27), tokens_per_param=(0.1, 0.5)
    ),
    "allocate": lambda f: sb.allocate(f, "f0", [1e23, 1e28]),
    "next_run": lambda f: sb.next_run(f, NEAR, HUGE),
}
"""Public functions asked about a model far outside."""

INSIDE = {
    "predict": lambda f: sb.predict(f, NEAR),
    "trajectory": lambda f: sb.trajectory(f, ["f0", "f1"], along="tokens", points=2),
    "target_probability": lambda f: sb.target_probability(f, NEAR, TARGETS),
    "allocate": lambda f: sb.allocate(f, "f0", 1e23),
    "held_out": sb.held_out,
}


@pytest.mark.parametrize("name", FAR)
def test_each_warns_once_of_a_model_far_outside(name: str, fitted: sb.Fit) -> None:
    (warning,) = told(FAR[name], fitted, sb.ExtrapolationWarning)
    assert "Do not act on it" in str(warning.message)
    assert warning.filename == __file__  # the line of the caller


@pytest.mark.parametrize("name", INSIDE)
def test_none_warns_of_a_model_inside(name: str, fitted: sb.Fit) -> None:
    assert told(INSIDE[name], fitted, sb.ExtrapolationWarning) == []


def test_tables_of_predictions_hold_the_distance(fitted: sb.Fit) -> None:
    flops = fitted.seen_models["flops"].max()
    expected = float(np.log10(training_flops(3e10, 1e12) / flops))
    both = sb.average({"one": fitted, "other": fitted}, {"one": 0.5, "other": 0.5})
    for fit in (fitted, both):
        for table in (sb.predict(fit, NEAR), sb.target_probability(fit, NEAR, TARGETS)):
            np.testing.assert_allclose(table["flops_past"], expected)
            assert (table["ratio_outside"] == 0).all()
    curve = sb.trajectory(fitted, "f0", along="flops", points=2, span=(flops / 10, flops), on="arc")
    np.testing.assert_allclose(curve["flops_past"], [-1.0, 0.0], atol=1e-9)
    grid = sb.target_map(fitted, "f0", TARGETS, params=[3e10], tokens=[1e12])
    assert grid["flops_past"].tolist() == pytest.approx([expected])


def test_held_out_predictions_hold_the_distance(fitted: sb.Fit) -> None:
    cells = sb.held_out(fitted).cells.drop_duplicates("model").set_index("model")
    own = fitted.observations.models.set_index("model").loc[cells.index]
    outside = outside_seen(fitted, own)
    pd.testing.assert_frame_equal(cells[list(outside)], outside)
    largest = fitted.seen_models.groupby("family")["flops"].max()
    np.testing.assert_allclose(
        cells["distance"], np.log10(own["flops"] / cells["family"].map(largest))
    )


def test_swapped_size_and_tokens_warn(fitted: sb.Fit) -> None:
    swapped = NEAR.rename(columns={"params": "tokens", "tokens": "params"})
    with pytest.warns(sb.ExtrapolationWarning, match="are params and tokens swapped"):
        sb.predict(fitted, swapped)
