from __future__ import annotations

import numpy as np
import pytest
from observation_tables import from_wide, refusal, wide

BAD_WIDE = {
    "percentage": (
        {"mmlu": [0.3, 57.0, 0.5]},
        {},
        ["row 1 (model 'a-2'), column 'mmlu'", "[0, 1], got 57", "percentage, divide by 100"],
    ),
    "negative score": (
        {"arc": [-0.1, 0.2, 0.3]},
        {},
        ["row 0 (model 'a-1'), column 'arc'", "got -0.1", "leave it empty if the score is missing"],
    ),
    "infinite score": (
        {"mmlu": [np.inf, 0.4, 0.5]},
        {},
        ["row 0 (model 'a-1'), column 'mmlu'", "must be finite, got inf", "give the number"],
    ),
    "zero params": (
        {"params": [1, 0, 2]},
        {},
        ["row 1 (model 'a-2'), column 'params'", "must be positive, got 0", "correct the cell"],
    ),
    "negative tokens": (
        {"tokens": [1, -2, 2]},
        {},
        ["row 1 (model 'a-2'), column 'tokens'", "must be positive, got -2e+12"],
    ),
    "infinite tokens": (
        {"tokens": [np.inf, 1, 2]},
        {},
        ["row 0 (model 'a-1'), column 'tokens'", "must be finite, got inf"],
    ),
    "params in billions": (
        {},
        {"units": {"tokens": 1e12}},
        ["3 problems", "column 'params'", "got 3: it looks like billions", "{'params': 1e9}"],
    ),
    "tokens in trillions": (
        {},
        {"units": {"params": 1e9}},
        ["2 problems", "column 'tokens'", "got 2: it looks like trillions", "{'tokens': 1e12}"],
    ),
    "unit twice": (
        {"params": [1, 2, 7e9]},
        {},
        ["row 2 (model 'b-1'), column 'params' times 1e+09", "got 7e+18", "counts already?"],
    ),
    "tokens unit twice": (
        {"tokens": [1, 2, 7e12]},
        {},
        ["row 2 (model 'b-1'), column 'tokens' times 1e+12", "got 7e+24", "counts already?"],
    ),
    "empty params": (
        {"params": [1, np.nan, 2]},
        {},
        ["row 1 (model 'a-2'), column 'params'", "must not be empty", "leave the row out"],
    ),
    "text for a number": (
        {"params": ["1", "7B", "2"]},
        {},
        ["row 1 (model 'a-2'), column 'params'", "a number, got '7B'", "write it plain"],
    ),
    "text for a score": (
        {"mmlu": ["0.1", "good", ""]},
        {},
        ["row 1 (model 'a-2'), column 'mmlu'", "a number, got 'good'"],
    ),
    "duplicate model": (
        {"model": ["a-1", "a-2", "a-1"]},
        {},
        ["row 2 (model 'a-1'), column 'model'", "duplicate of row 0", "keep one row"],
    ),
    "empty family": (
        {"family": ["a", " ", "b"]},
        {},
        ["row 1 (model 'a-2'), column 'family'", "must not be empty", "fill it in"],
    ),
    "NaN family": (
        {"family": ["a", np.nan, "b"]},
        {},
        ["row 1 (model 'a-2'), column 'family'", "must not be empty"],
    ),
    "family spelt nan": ({"family": ["a", "nan", "b"]}, {}, ["row 1 (model 'a-2')", "empty"]),
    "NaN model": ({"model": ["a-1", None, "b-1"]}, {}, ["row 1, column 'model'", "not be empty"]),
    "unknown columns": (
        {"date": "2024", "elo": 1000},
        {},
        ["got 'date', 'elo'", "benchmarks=[...]", "extra='ignore'"],
    ),
    "no items": (
        {},
        {"items": {"mmlu": 0}},
        ["row 0 (model 'a-1', benchmark 'mmlu'), column 'n_items'", "at least 1, got 0", "unknown"],
    ),
    "chance of one": (
        {},
        {"chance": {"mmlu": 1.0}},
        ["benchmark 'mmlu'), column 'chance'", "[0, 1), got 1", "give a fraction"],
    ),
    "unknown benchmark in chance": (
        {},
        {"chance": {"mlu": 0.25}},
        ["chance= must name benchmarks of the table, got 'mlu'", "did you mean 'mmlu'?"],
    ),
    "unknown benchmark": (
        {},
        {"benchmarks": ["mmlu", "ark"]},
        ["expected 1 column 'ark'", "did you mean 'arc'?"],
    ),
    "benchmark twice": (
        {},
        {"benchmarks": ["mmlu", "arc", "arc"]},
        ["each benchmark once", "got 'arc'", "one purpose"],
    ),
    "unknown unit": ({}, {"units": {"param": 1e9}}, ["got 'param'", "did you mean 'params'?"]),
    "unit of zero": ({}, {"units": {"params": 0}}, ["positive factor, got 0", "1e9 for billions"]),
    "column for two sources": (
        {"share": [1.0, 1.0, 1.0]},
        {"mixtures": {"web": "share", "code": "share"}},
        ["apart from the other columns", "got 'share' twice", "one purpose"],
    ),
    "no such column of weights": (
        {"share": [1.0, 1.0, 1.0]},
        {"mixtures": {"web": "shares"}},
        ["expected 1 column 'shares'", "did you mean 'share'?"],
    ),
    "empty weight beside a filled one": (
        {"web": [0.8, 1.0, 1.0], "code": [np.nan, 0.0, 0.0]},
        {"mixtures": {"web": "web", "code": "code"}},
        ["row 0 (model 'a-1'), column 'code'", "must not be empty", "write 0 for a source"],
    ),
    "weights as percentages": (
        {"web": [0.8, 57.0, 1.0], "code": [0.2, 0.5, 0.0]},
        {"mixtures": {"web": "web", "code": "code"}},
        [
            "row 1 (model 'a-2'), column 'web'",
            "got 57: it looks like a percentage",
            "divide by 100",
        ],
    ),
    "weights that sum to less": (
        {"web": [0.8, 1.0, 1.0], "code": [0.1, 0.0, 0.0]},
        {"mixtures": {"web": "web", "code": "code"}},
        ["row 0 (model 'a-1'), column 'web'", "must sum to one, got 0.9: divide them"],
    ),
    "loss as text": (
        {"c4": ["3.1", "low", "2.9"]},
        {"losses": {"web": ("c4", "nats/token")}},
        ["row 1 (model 'a-2'), column 'c4'", "a number, got 'low'"],
    ),
    "unknown choice of extra": ({}, {"extra": "drop"}, ["'error' or 'ignore', got 'drop'"]),
}


@pytest.mark.parametrize(("columns", "settings", "said"), BAD_WIDE.values(), ids=BAD_WIDE)
def test_bad_wide_table(columns: dict, settings: dict, said: list[str]) -> None:
    message = refusal(lambda: from_wide(wide(**columns), **settings))
    for part in said:
        assert part in message


def test_missing_columns_of_a_wide_table_suggest_a_remedy() -> None:
    message = refusal(lambda: from_wide(wide().rename(columns={"params": "Params"})))
    assert "expected 1 column 'params'" in message
    assert "did you mean 'Params'?" in message
    message = refusal(lambda: from_wide(wide().drop(columns="tokens")))
    assert "pass tokens=None if no token count is known" in message


def test_one_message_for_all_problems() -> None:
    table = wide(mmlu=[30, 40, 50], arc=[10, 20, 30], params=[0, 1, 2], family=["a", "", "b"])
    message = refusal(lambda: from_wide(table))
    assert message.startswith("8 problems:")
    assert message.count("looks like a percentage") == 3
    assert "... and 3 more cells of this kind" in message
    assert "params must be positive" in message
    assert "family must not be empty" in message
