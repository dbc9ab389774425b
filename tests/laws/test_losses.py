"""Laws of losses alone, and checkpoints of one run, from tables simulated in NumPy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arviz_base import from_dict
from conftest import fit_quietly
from scipy.special import expit, logit
from scipy.stats import norm

import scalebayes as sb
from scalebayes.evaluation.heldout import held_out_in_table
from scalebayes.inference import diagnostics

SOURCES = ["web", "code", "books", "math"]
TEACHES = {  # what a token of each source is worth to a domain, beside one of its own
    "web": [1.0, 0.05, 0.2, 0.05],
    "code": [0.1, 1.0, 0.02, 0.2],
    "news": [0.4, 0.02, 0.1, 0.02],
}


def mixed(n: int = 20) -> sb.Observations:
    """Losses of runs of two sizes on n mixtures: powers of total and of domain FLOPs, noise of 1%."""
    rng = np.random.default_rng(0)
    rows = [(f"{s}-{i}", "one", 1e8 * 10**s, 2e9 * 10**s) for s in range(2) for i in range(n)]
    models = pd.DataFrame(rows, columns=["model", "family", "params", "tokens"])
    weights = np.tile(rng.dirichlet(np.full(len(SOURCES), 0.5), n), (2, 1))
    C = (6 * models["params"] * models["tokens"]).to_numpy() / 1e19
    losses = [
        models[["model"]].assign(
            domain=domain,
            loss=A
            / (C**0.04 * (weights @ taught * C) ** 0.06)
            * np.exp(rng.normal(0, 0.01, 2 * n)),
            unit="nats/token",
        )
        for A, (domain, taught) in zip((2.5, 1.2, 2.0), TEACHES.items(), strict=True)
    ]
    mixtures = pd.DataFrame(weights, columns=SOURCES).assign(model=models["model"])
    mixtures = mixtures.melt("model", var_name="source", value_name="weight")
    return sb.Observations(models, losses=pd.concat(losses), mixtures=mixtures)


@pytest.fixture(scope="module")
def fitted() -> sb.Fit:
    """FLP-M fitted to losses alone, without eight of the larger runs."""
    hidden = [f"1-{i}" for i in range(8)]
    return fit_quietly(
        sb.FlpM(), mixed(), seed=0, sampler=sb.Nuts(draws=200, warmup=300), hold_out=hidden
    )


def hidden(fit: sb.Fit) -> pd.DataFrame:
    models = fit.observations.models
    return models[models["model"].isin(fit.held_out)]


def test_losses_alone_are_fitted_and_judged(fitted: sb.Fit) -> None:
    posterior = fitted.tree["posterior"]
    assert set(fitted.tree["log_likelihood"].data_vars) == {"loss"}
    assert not {"mu", "log_k", "sigma"} & set(posterior.data_vars)
    assert posterior["log_L"].shape == (2, 200, 40, 3)
    assert 1 <= fitted.verdict.max_rhat < 1.1
    assert 50 < fitted.verdict.min_ess_bulk < 1000


def test_hidden_losses_are_inside(fitted: sb.Fit) -> None:
    found = sb.predict(fitted, hidden(fitted), of="loss")
    found = found.merge(fitted.observations.losses, on=["model", "domain"])
    assert len(found) == 24
    assert found["loss"].between(found["lower_90"], found["upper_90"]).mean() >= 0.7
    # blind to mixtures, intervals would be as wide as 3.3 standard deviations of runs of one size
    seen = fitted.observations.losses
    spread = seen[seen["model"].str.startswith("1-")].groupby("domain")["loss"].std()
    width = (found["upper_90"] - found["lower_90"]).groupby(found["domain"]).median()
    assert (width < 2 * spread).all()


def test_held_out_losses_are_those_of_predict(fitted: sb.Fit) -> None:
    held = sb.held_out(fitted, seed=3)
    assert held.of == "loss"
    names = [f"1-{i}" for i in range(8)]
    expected = pd.MultiIndex.from_product([names, TEACHES], names=["model", "domain"])
    cells = held.cells.set_index(["model", "domain"])
    assert sorted(cells.index) == sorted(expected)
    losses = fitted.observations.losses.set_index(["model", "domain"])["loss"]
    assert cells["observed"].tolist() == losses[cells.index].tolist()
    assert (cells["family_size"] == 32).all()
    assert cells["distance"].to_numpy() == pytest.approx(
        0.0, abs=1e-9
    )  # others of that size are seen
    assert cells["log_score"].isna().all()
    assert held.folds["n_losses"].tolist() == [24]
    assert held.draws.shape == (24, 400)  # of two chains, and none is thinned out
    draws = sb.predictive_draws(fitted, hidden(fitted), of="loss", seed=3)["loss"]
    for (model, domain), own in zip(cells.index, held.draws, strict=True):
        assert own.tolist() == draws.sel(model=model, domain=domain).to_numpy().ravel().tolist()
    table = held_out_in_table(fitted, seed=3).cells
    pd.testing.assert_frame_equal(
        table.set_index(["model", "domain"]).loc[cells.index], cells, check_like=True
    )


def test_losses_of_other_models_are_predicted_beside_their_values(fitted: sb.Fit) -> None:
    own = fitted.observations.only(models=hidden(fitted)["model"].tolist())
    some = own.losses[own.losses["domain"] == "code"].iloc[::-1]
    some = some.assign(loss=some["loss"] + 0.125)
    held = sb.held_out(fitted, sb.Observations(own.models, losses=some, mixtures=own.mixtures))
    assert held.cells["domain"].tolist() == ["code"] * 8
    assert held.cells["model"].tolist() == own.models["model"].tolist()
    at = some.set_index("model")["loss"]
    assert held.cells["observed"].tolist() == at[held.cells["model"]].tolist()
    with pytest.raises(ValueError, match=r"seen 96 of these losses, such as 0-0 / web, 0-1 / web"):
        sb.held_out(fitted, fitted.observations)
    other = some.assign(domain="wiki")
    with pytest.raises(ValueError, match="the fit has no domain 'wiki'"):
        sb.held_out(fitted, sb.Observations(own.models, losses=other, mixtures=own.mixtures))
    with pytest.raises(ValueError, match="the observations have no losses"):
        sb.held_out(fitted, sb.Observations(own.models, mixtures=own.mixtures))
    with pytest.raises(ValueError, match=r"of must be .*'loss', but is 'score'"):
        sb.held_out(fitted, of="score")
    seen = replace(fitted, held_out=())
    with pytest.raises(ValueError, match=r"has seen all its losses.*fit with hold_out"):
        sb.held_out(seen)


def test_an_average_of_losses_has_the_draws_of_its_parts(fitted: sb.Fit) -> None:
    both = sb.held_out(sb.Average({"a": fitted, "b": fitted}, {"a": 0.25, "b": 0.75}), seed=3)
    one = sb.held_out(fitted, seed=3)
    assert both.of == "loss"
    assert both.draws.shape == one.draws.shape
    assert {*both.draws[5]} <= {*one.draws[5]}
    pd.testing.assert_frame_equal(both.cells, one.cells)


def test_scores_of_a_law_of_losses_are_refused(fitted: sb.Fit) -> None:
    with pytest.raises(ValueError, match="fitted to, 'loss', but is 'score'"):
        sb.predict(fitted, hidden(fitted))


def test_there_are_no_scores_to_replicate(fitted: sb.Fit) -> None:
    with pytest.raises(ValueError, match="'one', 'other' saw no scores"):
        sb.compare({"one": fitted, "other": fitted})
    with pytest.raises(ValueError, match="the fit is of losses alone"):
        sb.posterior_predictive(fitted)


def test_what_is_the_same_at_every_draw_is_not_judged() -> None:
    draws = np.random.default_rng(0).normal(size=(4, 100, 3))
    draws[..., 1] = 0.25
    stats = {
        "diverging": np.zeros((4, 100), bool),
        "reached_max_treedepth": np.zeros((4, 100), bool),
        "energy": draws[..., 0],
    }
    tree = from_dict({"posterior": {"mu": draws}, "sample_stats": stats})
    verdict = diagnostics.check(tree, ["mu"])
    assert np.isfinite([verdict.max_rhat, verdict.min_ess_bulk, verdict.min_ess_tail]).all()


def test_a_new_model_needs_a_mixture(fitted: sb.Fit) -> None:
    new = hidden(fitted).head(1).assign(model="new", run="new")
    with pytest.raises(ValueError, match="none is known of 'new': give their mixtures"):
        sb.predict(fitted, new, of="loss")
    losses = []
    for source in ("web", "code"):
        mixture = pd.DataFrame({"model": ["new"], "source": [source], "weight": [1.0]})
        found = sb.predict(fitted, sb.Observations(new, mixtures=mixture), of="loss", kind="mean")
        losses.append(found.set_index("domain")["median"])
    on_web, on_code = losses
    assert on_web["web"] < on_code["web"]
    assert on_web["code"] > on_code["code"]


def test_a_model_of_the_fit_has_its_own_mixture(fitted: sb.Fit) -> None:
    own = fitted.observations.mixtures
    turned = own.assign(
        weight=own.groupby("model")["weight"].transform(lambda w: w.to_numpy()[::-1])
    )
    with pytest.raises(ValueError, match="knows '0-0'"):
        sb.predict(fitted, sb.Observations(fitted.observations.models, mixtures=turned), of="loss")


def test_a_saved_fit_of_losses_predicts_alike(fitted: sb.Fit, tmp_path: Path) -> None:
    again = sb.load(fitted.save(tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(
        sb.predict(again, hidden(again), of="loss"), sb.predict(fitted, hidden(fitted), of="loss")
    )


BENCHMARKS = {"easy": 0.25, "hard": 0.25, "pair": 0.5}
AT_ONE = {"easy": 1.0, "hard": -0.5, "pair": 0.3}
RUNS, CHECKPOINTS, TABLES = 12, 8, 3
TOGETHER, APART = 0.1, 0.06  # sd in logits of what all checkpoints of a run share, and of each


def curve(benchmark: str, loss: np.ndarray | float) -> np.ndarray:
    """Logit of the share of the room above chance."""
    return AT_ONE[benchmark] - 8 * (np.asarray(loss) - 1)


def checkpoints(number: int) -> sb.Observations:
    """A table of twelve runs whose checkpoints are off the curve together.

    Tables are few, and luck is kept out of them: the effects of runs have the spread that they should,
    and their means, over all tables and benchmarks, are quantiles of what they would be.
    """
    rng = np.random.default_rng(number)
    n_cell = TABLES * len(BENCHMARKS)
    quantiles = norm.ppf((np.random.default_rng(0).permutation(n_cell) + 1) / (n_cell + 1))
    run, at = np.divmod(np.arange(RUNS * CHECKPOINTS), CHECKPOINTS)
    params = 2e8 * 2.0 ** (run // 4)
    tokens = 20 * params * 2.0 ** (run % 4) * (at + 3) / (CHECKPOINTS + 2)
    names = [f"{r}-{c}" for r, c in zip(run, at, strict=True)]
    models = pd.DataFrame({"model": names, "run": run.astype(str), "family": "one"})
    models = models.assign(params=params, tokens=tokens)
    loss = 0.5 + 0.25 * (params / 4e8) ** -0.25 + 0.25 * (tokens / 1.5e10) ** -0.25
    loss = loss * np.exp(rng.normal(0, 0.002, len(loss)))
    scores = []
    for (benchmark, chance), z in zip(
        BENCHMARKS.items(), quantiles.reshape(TABLES, -1)[number], strict=True
    ):
        effect = rng.normal(size=RUNS)
        effect = (effect - effect.mean()) / effect.std(ddof=1) + z / np.sqrt(RUNS)
        eta = curve(benchmark, loss) + TOGETHER * effect[run] + rng.normal(0, APART, len(run))
        right = rng.binomial(50_000, chance + (1 - chance) * expit(eta))
        scores.append(
            models[["model"]].assign(
                benchmark=benchmark, score=right / 50_000, n_items=50_000, chance=chance
            )
        )
    losses = models[["model"]].assign(domain="c4", loss=loss, unit="bits/byte")
    return sb.Observations(models, pd.concat(scores), losses)


def inside(fit: sb.Fit) -> list[bool]:
    """Whether 90% intervals of the expected score of a typical finished run at a loss of one hold it.

    That loss is in the middle, where the law has no discrepancy.
    """
    v, reference = fit.draws(), fit.design.reference
    relative = 1 / np.exp(reference.log_loss0[0]) - 1
    share = expit(logit(reference.typical) + v["b_f"][:, 0] - np.exp(v["log_k"]) * relative)
    lower, upper = np.quantile(share, [0.05, 0.95], axis=0)
    truth = expit([curve(benchmark, 1.0) for benchmark in BENCHMARKS])
    return list((lower < truth) & (truth < upper))


@pytest.mark.slow
def test_checkpoints_of_a_run_are_not_evidence_of_their_own() -> None:
    """Intervals hold the truth as often as they say, but not where checkpoints pose as runs."""
    found: dict[bool, list[bool]] = {True: [], False: []}
    for number in range(TABLES):
        table = checkpoints(number)
        apart = sb.Observations(table.models.drop(columns="run"), table.scores, table.losses)
        for together, observations in ((True, table), (False, apart)):
            law = sb.Ladder(feature="c4", inputs="flops", floor="known", checkpoints=together)
            sampler = sb.Nuts(draws=150, warmup=150, target_accept=0.8, max_tree_depth=5)
            fit = fit_quietly(law, observations, seed=0, sampler=sampler)
            found[together] += inside(fit)
            if together:
                new = table.models.iloc[-1:].assign(params=1e9, tokens=2e10)
                pair = pd.concat([new.assign(model=name, run=name) for name in "ab"])
                typical = sb.predictive_draws(fit, pair, kind="mean")["score"]
                assert (typical.isel(model=0) == typical.isel(model=1)).all()
    assert np.mean(found[True]) >= 0.75
    assert np.mean(found[False]) <= np.mean(found[True]) - 0.15
