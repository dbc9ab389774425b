"""Curves against `predict` and closed forms, the two steps of a ladder, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import HELD_OUT, PASSED, table
from scipy.special import expit, logit

import scalebayes as sb
from scalebayes.inference.tree import make_tree
from scalebayes.model import design as designs
from scalebayes.prediction import trajectories
from scalebayes.prediction.new_levels import new_names
from scalebayes.prediction.steps import Steps, _at_losses
from scalebayes.prediction.trajectories import _grid

# curves go far out on purpose; that this is told is tested in test_ranges.py
pytestmark = pytest.mark.filterwarnings("ignore::scalebayes.ExtrapolationWarning")

N_DRAW = 12
POINTS = 5


@pytest.fixture(scope="module")
def ladder() -> sb.Fit:
    """A ladder with made-up draws, such as all its sites may have, so that nothing need be sampled."""
    observations, law, rng = table(n_family=2), sb.Ladder(), np.random.default_rng(0)
    design = designs.build(observations)
    labels = dict(design.coords) | law.coords()
    values = {
        name: rng.uniform(0.05, 0.3, (1, N_DRAW, *(len(labels[dim]) for dim in dims)))
        for name, dims in law.dims.items()
        if all(labels.get(dim) for dim in dims)
    }
    zeros = np.zeros((1, N_DRAW))
    sites = {
        "posterior": values,
        "log_likelihood": {
            "score": np.zeros((1, N_DRAW, len(design.score))),
            "loss": np.zeros((1, N_DRAW, len(design.log_loss))),
        },
        "log_prior": dict.fromkeys(values, zeros),
    }
    tree = make_tree(law, design, sites, {"n_steps": zeros + 1})
    about = {"seed": 0, "sampler": {"sampler": "Nuts"}}
    return sb.Fit(law, observations, (), tree, design.reference, about, PASSED)


def test_points_are_predicted_as_models_of_that_size(fitted: sb.Fit) -> None:
    curve = sb.trajectory(
        fitted, ["f0", "f2"], along="flops", fixed=20, span=(1.2e22, 1.2e24), points=3, on="gsm"
    )
    params = np.sqrt(np.array([1.2e22, 1.2e23, 1.2e24] * 2) / 120)
    models = pd.DataFrame(
        {
            "model": [f"point {i}" for i in range(6)],
            "family": np.repeat(["f0", "f2"], 3),
            "params": params,
            "tokens": 20 * params,
        }
    )
    expected = sb.predict(fitted, models)
    expected = expected[expected["benchmark"] == "gsm"].reset_index(drop=True)
    columns = ["family", "benchmark", "kind", "mean", "median", "sd", "lower_90", "upper_90"]
    pd.testing.assert_frame_equal(curve[columns], expected[columns])
    np.testing.assert_allclose(curve[["params", "tokens"]], models[["params", "tokens"]])
    np.testing.assert_allclose(curve["flops"], np.array([1.2e22, 1.2e23, 1.2e24] * 2))
    assert curve.attrs == {"draws": 500, "kind": "score"}


def test_many_families_are_predicted_in_parts(
    fitted: sb.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def predicted(fit: sb.Fit, models: sb.Observations, **_: object) -> pd.DataFrame:
        asked.append(list(models.models["family"].unique()))
        cells = models.models.merge(pd.DataFrame({"benchmark": ["arc", "gsm"]}), how="cross")
        return cells.assign(mean=cells["params"])[["model", "family", "benchmark", "mean"]]

    monkeypatch.setattr(trajectories, "predict", predicted)
    whole = sb.trajectory(fitted, ["f0", "f1", "f2"], points=3)
    monkeypatch.setattr(trajectories, "MAX_VALUES_PER_CALL", 2 * 500 * 3 * 4)
    pd.testing.assert_frame_equal(sb.trajectory(fitted, ["f0", "f1", "f2"], points=3), whole)
    assert asked == [["f0", "f1", "f2"], ["f0", "f1"], ["f2"]]
    assert len(whole) == 3 * 3 * 2
    np.testing.assert_array_equal(whole["mean"], whole["params"].round())  # as tables keep counts


MODELS = pd.DataFrame(
    {
        "model": ["a1", "a2", "a3", "b1"],
        "run": ["a1", "a2", "a3", "point 1"],
        "family": ["a", "a", "a", "b"],
        "params": [1e9, 4e9, 9e9, 2e9],
        "tokens": [3e10, 8e10, np.nan, np.nan],
        "flops": [1.8e20, 1.92e21, np.nan, np.nan],
    }
)


@pytest.mark.parametrize(
    ("along", "family", "params", "tokens"),
    [
        # from half the smallest to twice the largest, as the largest with known tokens
        ("params", "a", [5e8, 1.8e10], [8e10, 8e10]),
        ("tokens", "a", [4e9, 4e9], [1.5e10, 1.6e11]),
        ("flops", "a", np.sqrt(np.array([9e19, 3.84e21]) / 120), [8e10 / 4e9] * 2),
        # without a token count, and as all models where nothing is known of the family
        ("params", "b", [1e9, 4e9], [np.nan, np.nan]),
        ("params", "c", [5e8, 1.8e10], [8e10, 8e10]),
    ],
)
def test_what_is_not_given_is_the_familys_own(along, family, params, tokens) -> None:
    grid = _grid(MODELS, [family], along, None, None, 2)
    np.testing.assert_allclose(grid["params"], params)
    kept = grid["tokens"] / grid["params"] if along == "flops" else grid["tokens"]
    np.testing.assert_allclose(kept, tokens)


def test_a_family_without_tokens_has_twenty_per_parameter_along_compute() -> None:
    grid = _grid(MODELS, ["b"], "flops", None, (1.2e21, 1.2e23), 2)
    np.testing.assert_allclose(grid["tokens"] / grid["params"], 20)


def test_names_are_those_of_no_model_and_no_run() -> None:
    models = MODELS.assign(model=["point 0", "x", "y", "z"])
    assert new_names(models, 2) == ["point 2", "point 3"]


def test_measured_scores_say_which_were_held_out(fitted: sb.Fit) -> None:
    found = sb.measured(fitted)
    own = fitted.observations
    np.testing.assert_array_equal(found["score"], own.scores["score"])
    assert set(found["model"][found["held_out"]]) == set(HELD_OUT)
    row = found[(found["model"] == "f3-1") & (found["benchmark"] == "arc")].iloc[0]
    model = own.models.set_index("model").loc["f3-1"]
    assert (
        row[["params", "tokens", "flops"]].tolist() == model[["params", "tokens", "flops"]].tolist()
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"families": "F0"}, "did you mean 'f0'"),
        ({"families": []}, "at least one family"),
        ({"span": (0.0, 1e9)}, "span must be two positive counts of params"),
        ({"span": (2e9, 1e9)}, "the smaller one first"),
        ({"fixed": -1.0}, "fixed must be a positive number"),
        ({"points": 1}, "points must be at least 2"),
        ({"along": "size"}, "'params', 'tokens', 'flops', but is 'size'"),
        ({"on": "mmlo"}, "the fit has no benchmark 'mmlo'.*did you mean 'mmlu'"),
        ({"of": "loss"}, "but is 'loss'"),
        ({"of": "accuracy"}, "but is 'accuracy'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(fitted: sb.Fit, change: dict, says: str) -> None:
    arguments = {"families": "f0", "points": 2} | change
    with pytest.raises(ValueError, match=says):
        sb.trajectory(fitted, **arguments)


def second_step(fit: sb.Fit, loss: np.ndarray, family: int, benchmark: str) -> np.ndarray:
    """Scores of the ladder's second step at losses (draw, point), with its equations by hand."""
    site = {k: v.to_numpy()[0] for k, v in fit.tree["posterior"].to_dataset().data_vars.items()}
    j, m = (fit.design.labels(dim).index(benchmark) for dim in ("benchmark", "domain"))
    log_relative = np.log(loss) - fit.reference.log_loss0[m]
    decades = -log_relative / fit.reference.per_decade[m]
    h = np.zeros_like(decades)
    for i, (knot, length) in enumerate(((0.5, 1), (1.5, 1), (3, 2), (5, 2))):
        for at, side in ((i, 1), (i + 4, -1)):
            slope = np.sqrt(length) * (site["h"] * site["h_at"][:, at, j])[:, None]
            h += slope * np.maximum(side * decades - knot, 0)
    eta = logit(fit.reference.typical[j]) + site["b_f"][:, family, j, None] + h
    eta -= np.exp(site["log_k"][:, j, None]) * (np.exp(log_relative) - 1)
    floor = site["gamma"][:, j, None]
    return floor + (1 - floor) * expit(eta)


@pytest.fixture(scope="module")
def steps(ladder: sb.Fit) -> Steps:
    return sb.two_steps(ladder, "gsm", "f1", kind="mean", points=POINTS)


def test_step_2_is_the_laws_own_curve(ladder: sb.Fit, steps: Steps) -> None:
    draws = second_step(ladder, np.tile(steps.accuracy["loss"], (N_DRAW, 1)), 1, "gsm")
    np.testing.assert_allclose(steps.accuracy["mean"], draws.mean(axis=0), rtol=1e-6)
    lower = np.quantile(draws, 0.05, axis=0)
    np.testing.assert_allclose(steps.accuracy["lower_90"], lower, rtol=1e-6)
    assert steps.accuracy.attrs == {"draws": N_DRAW, "kind": "mean"}


def test_step_2_spans_the_losses_of_step_1_and_those_measured(steps: Steps) -> None:
    losses = np.concatenate([steps.loss["median"], steps.points["loss"]])
    ends = steps.accuracy["loss"].iloc[[0, -1]]
    np.testing.assert_allclose(ends, [losses.min(), losses.max()])


def test_both_in_a_row_is_step_2_at_the_losses_of_step_1(ladder: sb.Fit, steps: Steps) -> None:
    """Draw by draw: the losses of models, asked for apart, are those behind their scores."""
    models = steps.chained[["family", "params", "tokens"]].assign(
        model=[f"point {i}" for i in range(POINTS)]
    )
    loss = sb.predictive_draws(ladder, models, of="loss", kind="mean")["loss"].sel(domain="gsm")
    np.testing.assert_allclose(steps.loss["median"], loss.median(("chain", "draw")), rtol=1e-6)
    draws = second_step(ladder, loss.to_numpy()[0], 1, "gsm")
    np.testing.assert_allclose(steps.chained["mean"], draws.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(steps.chained["sd"], draws.std(axis=0, ddof=1), rtol=1e-5)


def test_effects_of_a_new_family_are_the_same_in_all_steps(ladder: sb.Fit) -> None:
    """With one seed a draw's losses and scores, asked for apart, lie on its curve of step 2."""
    params = np.geomspace(1e9, 3e10, POINTS)
    models = pd.DataFrame({"family": "zephyr", "params": params, "tokens": 20 * params})
    models["model"] = [f"point {i}" for i in range(POINTS)]
    loss, score = (
        sb.predictive_draws(ladder, models, of=of, kind="mean", seed=3)[of].to_numpy()[0]
        for of in ("loss", "score")
    )
    j, m = (ladder.labels(dim).index("gsm") for dim in ("benchmark", "domain"))
    for i in (0, 5, 11):
        rows = pd.DataFrame({"family": "zephyr", "loss": loss[i, :, m]})
        curve = _at_losses(ladder, rows, "mean", seed=3)
        np.testing.assert_allclose(curve[i, :, j], score[i, :, j], rtol=1e-9)


def test_an_average_has_curves_too(ladder: sb.Fit, steps: Steps) -> None:
    both = sb.average({"one": ladder, "other": ladder}, {"one": 1.0, "other": 0.0})
    curve = sb.trajectory(both, "f1", along="flops", kind="mean", points=POINTS, on="gsm")
    pd.testing.assert_frame_equal(curve.reset_index(drop=True), steps.chained)
    assert curve.attrs == steps.chained.attrs
    pd.testing.assert_frame_equal(sb.measured(both), sb.measured(ladder))
    with pytest.raises(ValueError, match="but got one of one and other"):
        sb.two_steps(both, "gsm")


def test_measured_knows_scores_and_losses_only(ladder: sb.Fit) -> None:
    with pytest.raises(ValueError, match="'score', 'loss', but is 'mean'"):
        sb.measured(ladder, of="mean")


def test_points_have_loss_and_score(ladder: sb.Fit, steps: Steps) -> None:
    own = ladder.observations
    points = steps.points.set_index("model")
    assert set(points.index) == set(own.models["model"][own.models["family"] == "f1"])
    for column, rows in (
        ("loss", own.losses[own.losses["domain"] == "gsm"]),
        ("score", own.scores[own.scores["benchmark"] == "gsm"]),
    ):
        expected = rows.set_index("model")[column].loc[points.index]
        np.testing.assert_array_equal(points[column], expected)
    assert not points["held_out"].any()


def test_a_law_without_losses_has_no_steps(fitted: sb.Fit) -> None:
    with pytest.raises(ValueError, match="Ladder or Flp, but got one of Sloth"):
        sb.two_steps(fitted, "gsm")
