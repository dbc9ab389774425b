"""The zoo of tables: what its files declare, and its simple opponents against what they should do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import table

import scalebayes as sb
from benchmarks.zoo.figures import judged, missed, pooled, records, with_ratios
from benchmarks.zoo.opponents import N_DRAW, OPPONENTS, QUANTILES, _predictive
from benchmarks.zoo.predictions import methods, of_fold
from benchmarks.zoo.table import Table, entries, larger
from scalebayes.data.folds import Fold
from scalebayes.evaluation import scoring
from scalebayes.evaluation.cross_validation import fingerprint, name_of_fold


def own_table() -> sb.Observations:
    """Scores that rise with compute and losses that fall with it; mixtures of two sources."""
    plain = table(3, 4)
    rng = np.random.default_rng(0)
    log_c = np.log10(plain.models.set_index("model")["flops"])
    scores, losses = plain.scores, plain.losses
    scores["score"] = (
        0.4 + 0.08 * (scores["model"].map(log_c) - 22) + rng.normal(0, 0.01, len(scores))
    )
    losses["loss"] = 3 * 10 ** (-0.05 * (losses["model"].map(log_c) - 22))
    share = rng.uniform(0.2, 0.8, len(plain.models))
    parts = [
        plain.models[["model"]].assign(source=source, weight=weight)
        for source, weight in (("web", share), ("code", 1 - share))
    ]
    return plain.with_tables(scores=scores, losses=losses, mixtures=pd.concat(parts))


def test_every_table_declares_its_role() -> None:
    found = entries()
    assert len(found) >= 10
    assert {entry.role for entry in found} == {"development", "test"}
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


def test_the_mixture_explains_losses_exactly_where_it_is_all_that_differs() -> None:
    observations = own_table()
    weights = observations.mixtures.set_index(["source", "model"])["weight"]["code"]
    losses = observations.losses
    losses["loss"] *= np.exp(0.5 * losses["model"].map(weights))
    [fold] = larger(observations, keep=3)
    held = OPPONENTS["line in log C and mixture"](
        observations.with_tables(losses=losses), fold, "loss"
    )
    np.testing.assert_allclose(np.median(held.draws, axis=1), held.cells["observed"], rtol=1e-6)


def test_the_sibling_is_the_largest_that_is_seen() -> None:
    observations = own_table()
    [fold] = larger(observations, keep=3)
    held = OPPONENTS["largest sibling"](observations, fold, "score")
    known = observations.scores.set_index(["model", "benchmark"])["score"]
    expected = [
        known[row.model.replace("-3", "-2"), row.benchmark] for row in held.cells.itertuples()
    ]
    np.testing.assert_allclose(np.median(held.draws, axis=1), expected)


def rows_of(law: dict[str, tuple[int, float, float, int]], opponent: float = 2.0) -> pd.DataFrame:
    """Judged rows of `Sloth` (values, CRPS, coverage, converged fits of 2) and of an opponent on each table."""
    plain = {"role": "development", "of": "score", "max_rhat": 1.0, "folds": 2, "seconds": 1.0}
    plain |= dict.fromkeys(["error", "bias", "width_90"], 1.0) | {"coverage_50": 0.5}
    found = []
    for name, (cells, crps, coverage, converged) in law.items():
        own = {"crps": crps, "coverage_90": coverage, "converged": converged, "method": "Sloth"}
        simple = {"crps": opponent, "coverage_90": 0.5, "converged": 2, "method": "line in log C"}
        found += [plain | row | {"table": name, "cells": cells} for row in (own, simple)]
    return with_ratios(pd.DataFrame(found))


def test_pooled_figures_weigh_values_and_ratios_weigh_tables() -> None:
    rows = rows_of({"a": (300, 1.0, 0.9, 2), "b": (100, 4.0, 0.7, 1)})
    found = pooled(rows).set_index("method").loc["Sloth"]
    assert found["coverage_90"] == pytest.approx((300 * 0.9 + 100 * 0.7) / 400)
    assert found["crps_ratio"] == pytest.approx((300 * 1.0 + 100 * 4.0) / (400 * 2.0))
    assert found["typical_ratio"] == pytest.approx(np.sqrt(0.5 * 2.0))
    assert (found["folds"], found["converged"]) == (4, 3)


def test_the_verdict_names_what_misses_its_target() -> None:
    rows = rows_of(
        {
            "good": (1000, 1.0, 0.9, 2),
            "small and wide": (99, 1.0, 0.97, 2),
            "large and wide": (100, 1.0, 0.97, 2),
            "narrow": (20, 1.0, 0.79, 2),
            "failed": (20, 1.0, 0.9, 1),
            "worse": (20, 2.1, 0.9, 2),
        }
    )
    found = missed(rows, pooled(rows))
    assert list(zip(found["table"], found["found"], strict=True)) == [
        ("large and wide", "97.0%"),
        ("narrow", "79.0%"),
        ("failed", "1 of 2"),
        ("worse", "1.05"),
        ("all tables", "11 of 12"),
    ]
    assert set(found["method"]) == {"Sloth"}


def test_the_verdict_names_pooled_targets_and_opponents_that_were_not_run() -> None:
    rows = rows_of({"a": (1000, 1.9, 0.87, 2)})
    found = missed(rows, pooled(rows))
    assert list(found["table"]) == ["all tables", "all tables"]
    assert list(found["found"]) == ["87.0%", "0.95"]
    alone = with_ratios(rows[rows["method"] == "Sloth"].drop(columns="best_opponent"))
    found = missed(alone, pooled(alone))
    assert list(found["found"]) == ["no opponent was run", "87.0%", "no opponent was run"]
    assert records(alone)[0]["crps_ratio"] is None


def test_scores_and_losses_of_several_folds_are_judged_apart() -> None:
    observations = own_table()
    parts = []
    for n, [fold] in enumerate([larger(observations, keep=2), larger(observations, keep=3)]):
        held = OPPONENTS["line in log C"](observations, fold, "loss")
        cells = scoring.scores(held).rename(columns={"domain": "column"})
        parts.append(cells.assign(of="loss", converged=n == 0, rhat=1.0 + n, seconds=2.0))
    [row] = judged(pd.concat(parts)).to_dict("records")
    assert (row["cells"], row["folds"], row["converged"]) == (45, 2, 1)
    assert (row["max_rhat"], row["seconds"]) == (2.0, 4.0)


def test_the_kept_fold_of_an_equal_fit_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observations, law, nuts = own_table(), sb.FamilyIntercept(), sb.Nuts(draws=10)
    [fold] = larger(observations, keep=3)
    name = name_of_fold(fingerprint(law, observations, 0, {"sampler": nuts}), fold)
    (tmp_path / f"{name}.csv").write_text("model,converged\nm,True\n")

    def fit(*arguments: object, **options: object) -> None:
        raise RuntimeError("fitted")

    monkeypatch.setattr(sb, "fit", fit)
    assert of_fold(tmp_path, nuts, observations, law, fold)["model"].tolist() == ["m"]
    for other in (
        (sb.Nuts(draws=11), observations, law, fold),
        (nuts, observations.only(benchmarks=["arc"]), law, fold),
        (nuts, observations, sb.SharedIntercept(), fold),
        (nuts, observations, law, Fold("another", fold.hold_out[:1])),
    ):
        with pytest.raises(RuntimeError, match="fitted"):
            of_fold(tmp_path, *other)


def test_methods_suit_their_table() -> None:
    full = own_table()
    losses = full.with_tables(scores=full.scores[:0])
    assert {"Sloth", "two lines", "line in log C and mixture"} <= set(methods(Table(full, [])))
    found = methods(Table(losses, [], {"FlpM": sb.FlpM()}))
    assert next(iter(found)) == "FlpM"
    assert set(found) == {"FlpM"} | set(OPPONENTS) - {"two lines"}
    plain = sb.Observations(full.models, full.scores, scales="trust")
    assert not {"two lines", "line in log C and mixture"} & set(methods(Table(plain, [])))
