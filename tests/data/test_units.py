from __future__ import annotations

import ast
import re
from typing import Any

import pandas as pd
import pytest
from observation_tables import UNITS, from_wide, models, refusal, scores, wide

from scalebayes.data.observations import Observations

FRACTIONS = {"mmlu": [0.3, 0.4, 0.5], "arc": [0.2, 0.9, 0.4]}


def in_percent(*names: str) -> pd.DataFrame:
    return wide(**{k: [100 * v if k in names else v for v in own] for k, own in FRACTIONS.items()})


def same(seen: Observations, expected: Observations) -> None:
    pd.testing.assert_frame_equal(seen.scores, expected.scores)


@pytest.mark.parametrize("percent", [("mmlu",), ("arc",), ("mmlu", "arc")])
def test_the_remedy_for_percentages_followed_literally_helps(percent: tuple[str, ...]) -> None:
    table = in_percent(*percent)
    found = re.search(r"pass units=(\{.*?\})", refusal(lambda: from_wide(table)))
    assert found is not None
    remedy = ast.literal_eval(found[1])
    assert list(remedy) == (["score"] if len(percent) == 2 else list(percent))
    same(from_wide(table, units=UNITS | remedy), from_wide(wide(**FRACTIONS)))


def test_the_remedy_names_every_benchmark_in_percent_and_no_other() -> None:
    table = in_percent("mmlu", "arc").assign(code=[0.1, 0.2, 0.3])
    message = refusal(lambda: from_wide(table, benchmarks=["mmlu", "arc", "code"]))
    assert "pass units={'mmlu': 0.01, 'arc': 0.01}" in message


def test_the_unit_of_a_benchmark_comes_before_that_of_all_scores() -> None:
    units = UNITS | {"score": 0.01, "arc": 1.0}
    same(from_wide(in_percent("mmlu"), units=units), from_wide(wide(**FRACTIONS)))


def test_few_percentages_among_fractions_are_no_reason_for_a_unit() -> None:
    message = refusal(lambda: from_wide(wide(mmlu=[0.3, 57.0, 0.5])))
    assert "got 57: it looks like a percentage, divide by 100" in message
    assert "2 of the 3 scores on 'mmlu' are at most 1" in message
    assert "units=" not in message


def test_few_fractions_among_percentages_are_told() -> None:
    message = refusal(lambda: from_wide(wide(mmlu=[30.0, 57.0, 0.5])))
    assert "pass units={'mmlu': 0.01}" in message
    assert "1 of the 3 scores on 'mmlu' are at most 1: check their unit" in message


@pytest.mark.parametrize("joined", [False, True])
def test_units_by_benchmark_in_long_tables(joined: bool) -> None:
    rows = pd.concat([scores(), scores(benchmark="arc", score=[20.0, 90.0])], ignore_index=True)
    tables: Any = (models().merge(rows),) if joined else (models(), rows)
    seen = Observations.from_long(*tables, units={"arc": 0.01})
    of_arc = seen.only(benchmarks="arc").scores
    assert of_arc["score"].tolist() == pytest.approx([0.2, 0.9])
    assert seen.only(benchmarks="mmlu").scores["score"].tolist() == [0.3, 0.4]


def test_messages_name_the_factor_of_the_benchmark() -> None:
    message = refusal(lambda: from_wide(wide(arc=[2000.0, 20, 30]), units=UNITS | {"arc": 0.01}))
    assert "column 'arc' times 0.01: a score must lie in [0, 1], got 20" in message


def test_units_of_unknown_benchmarks_are_refused() -> None:
    message = refusal(lambda: from_wide(wide(), units={"mmul": 0.01}))
    assert "or a benchmark, got 'mmul'; did you mean 'mmlu'?" in message
    message = refusal(lambda: Observations.from_long(models(), scores(), units={"ark": 0.01}))
    assert "or a benchmark, got 'ark'" in message
    message = refusal(lambda: Observations.from_long(models(), units={"mmlu": 0.01}))
    assert "or a benchmark, got 'mmlu'" in message
