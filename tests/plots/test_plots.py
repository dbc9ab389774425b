"""The picture of intervals: what is drawn where, on synthetic tables."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scalebayes.plots import (
    calibration,
    interval_panels,
    intervals,
    open_direction,
    prior_posterior,
)

mpl.use("Agg")

MODELS = ("small", "large")
BENCHMARKS = ("mmlu", "gsm8k", "bbh")


@pytest.fixture
def table():
    """Six predictions: four scores inside, one outside and one unknown."""
    rows = pd.MultiIndex.from_product([MODELS, BENCHMARKS], names=["model", "benchmark"])
    table = rows.to_frame(index=False)
    table["median"] = np.linspace(0.3, 0.8, len(table))
    for level, half in (("50", 0.02), ("90", 0.05)):
        table[f"lower_{level}"] = table["median"] - half
        table[f"upper_{level}"] = table["median"] + half
    table["observed"] = table["median"] + [0.0, 0.01, 0.04, -0.03, 0.2, np.nan]
    return table


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def points(ax):
    """Positions of the markers of a group: medians of scored and of pale rows, inside, outside."""
    return [np.asarray(c.get_offsets()) for c in ax.collections if hasattr(c, "get_sizes")]


def segments(ax):
    return [s for c in ax.collections if hasattr(c, "get_segments") for s in c.get_segments()]


def test_every_prediction_has_its_two_bars_and_its_median(table):
    ax = intervals(table)
    drawn = sorted(tuple(np.round(s[:, 0], 6)) for s in segments(ax))
    expected = [
        tuple(np.round(row, 6))
        for level in ("50", "90")
        for row in table[[f"lower_{level}", f"upper_{level}"]].to_numpy()
    ]
    assert drawn == sorted(expected)
    medians, pale, _, _ = points(intervals(table.iloc[3:]))
    assert [*medians[:, 0], *pale[:, 0]] == pytest.approx(table["median"][3:].tolist())


def test_scores_inside_and_outside_are_told_apart(table):
    _, _, inside, outside = points(intervals(table.iloc[3:]))
    assert inside[:, 0].tolist() == pytest.approx([table["observed"][3]])
    assert outside[:, 0].tolist() == pytest.approx([table["observed"][4]])


def test_rows_are_named_and_do_not_overlap(table):
    ax = intervals(table)
    assert [t.get_text() for t in ax.get_yticklabels()] == [*BENCHMARKS, *BENCHMARKS]
    assert np.diff(ax.get_yticks()).min() >= 1
    assert [t.get_text() for t in ax.texts] == list(MODELS)
    low, high = ax.get_ylim()
    assert low > ax.get_yticks().max()
    assert high < ax.get_yticks().min()


def test_rows_can_be_grouped_by_benchmark_on_axes_of_the_caller(table):
    figure, ax = plt.subplots()
    assert intervals(table, ax, by="benchmark") is ax
    assert [t.get_text() for t in ax.texts] == list(BENCHMARKS)
    assert ax.figure is figure


def test_a_caption_says_what_is_drawn(table):
    assert "90% interval" in intervals(table).get_xlabel()
    assert "90% interval" in interval_panels(table).get_supxlabel()
    assert "Pale" in intervals(table).get_xlabel()
    assert "Pale" not in intervals(table.dropna()).get_xlabel()


def test_scores_are_optional(table):
    ax = intervals(table.drop(columns="observed"))
    assert len(segments(ax)) == 2 * len(table)


def test_each_model_has_a_panel_with_shared_rows(table, tmp_path):
    figure = interval_panels(table, columns=5)
    assert [ax.get_title() for ax in figure.axes] == list(MODELS)
    figure.savefig(tmp_path / "p.png", dpi=110)
    assert 5_000 < (tmp_path / "p.png").stat().st_size < 200_000


def test_unused_panels_are_blank_and_the_axis_above_is_labelled(table):
    figure = interval_panels(table, by="benchmark", columns=2)
    assert [ax.axison for ax in figure.axes] == [True, True, True, False]
    assert figure.axes[1].xaxis.get_tick_params()["labelbottom"]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda t: t.drop(columns="lower_90"), "lower_90"),
        (lambda t: t.iloc[:0], "no rows"),
    ],
)
def test_tables_that_cannot_be_drawn_are_refused(table, broken, says):
    with pytest.raises(ValueError, match=says):
        intervals(broken(table))


def test_an_unknown_grouping_is_refused(table):
    with pytest.raises(ValueError, match="'family'"):
        interval_panels(table, by="family")


def held_out_tables():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"fold": "a", "model": [f"m{i}" for i in range(40)]})
    scores["pit"] = np.linspace(0.01, 0.99, 40)
    level = np.linspace(0, 1, 40)
    coverage = pd.DataFrame({"level": level, "coverage": rng.uniform(size=40)})
    coverage = coverage.assign(lower=level - 0.1, upper=level + 0.1)
    groups = pd.DataFrame({"distance": ["near", "far", "few"], "crps": [1.0, 3.0, 2.0]})
    ecdf = pd.DataFrame({"value": level, "ecdf": rng.uniform(size=40)})
    ecdf = ecdf.assign(lower=level - 0.2, upper=level + 0.1)
    return scores, coverage, ecdf, groups.assign(scores=[30, 40, 8], coverage_90=[0.9, 0.7, 1.0])


def test_calibration_draws_what_the_tables_say():
    scores, coverage, ecdf, groups = held_out_tables()
    figure = calibration(scores, coverage, ecdf, groups)
    one, two, three, four = figure.axes
    np.testing.assert_array_equal(one.lines[1].get_ydata(), coverage["coverage"])
    assert [p.get_height() for p in two.patches] == [4] * 10
    np.testing.assert_array_equal(three.lines[1].get_xdata(), ecdf["value"])
    np.testing.assert_array_equal(three.lines[1].get_ydata(), ecdf["ecdf"] - ecdf["value"])
    band = three.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((-0.2, 0.1))
    assert [p.get_height() for p in four.patches] == [1.0, 3.0, 2.0]
    near, far, few = (t for t in four.texts if "%" in t.get_text())
    assert (near.get_text(), far.get_text()) == ("90%\nof 30", "70%\nof 40")
    assert [t.get_weight() for t in (near, far, few)] == ["normal", "bold", "normal"]
    assert "40 held-out scores of 40 models" in figure.get_supxlabel()


def test_the_words_of_calibration_stay_on_the_page_and_off_one_another():
    figure = calibration(*held_out_tables())
    figure.draw_without_rendering()
    page = figure.bbox
    outer = [ax.get_tightbbox() for ax in figure.axes]
    caption = figure._supxlabel.get_window_extent()
    for k, box in enumerate(outer):
        assert not caption.overlaps(box)
        assert not any(box.overlaps(other) for other in outer[k + 1 :])
    for box in (*outer, caption):
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1


def test_losses_have_their_own_words_and_axes(table):
    of_losses = table.rename(columns={"benchmark": "domain"})
    values = [c for c in of_losses if c.startswith(("median", "lower", "upper", "observed"))]
    of_losses[values] += 2.0
    for figure in (interval_panels(of_losses, by="domain"), intervals(of_losses).figure):
        ax = figure.axes[0]
        low, high = ax.get_xlim()
        assert 1.5 < low < high < 3.5  # that of the losses, not of scores
    assert figure.axes[0].get_xlabel().startswith("loss\n")
    assert "Below it the loss, a dot inside" in figure.axes[0].get_xlabel()
    assert "Pale: no loss known" in figure.axes[0].get_xlabel()
    with pytest.raises(ValueError, match="by must be 'model' or 'domain', but is 'benchmark'"):
        intervals(of_losses, by="benchmark")
    scores, coverage, ecdf, groups = held_out_tables()
    figure = calibration(
        scores.assign(domain="c4"), coverage, ecdf, groups.rename(columns={"scores": "losses"})
    )
    one, two, three, four = figure.axes
    assert one.get_ylabel() == "share of losses inside"
    assert (two.get_xlabel(), two.get_ylabel()) == ("probability of a smaller loss", "losses")
    assert three.get_xlabel() == "probability of a smaller loss"
    assert four.get_ylabel() == "mean CRPS"
    assert "90%\nof 30" in [t.get_text() for t in four.texts]
    assert figure.get_supxlabel().startswith("40 held-out losses of 40 models")
    assert "score" not in figure.get_supxlabel()


@pytest.mark.parametrize("name", ["scores", "coverage", "ecdf", "groups"])
def test_calibration_of_nothing_is_refused(name):
    names = ("scores", "coverage", "ecdf", "groups")
    tables = dict(zip(names, held_out_tables(), strict=True))
    with pytest.raises(ValueError, match=f"a table of {name} with at least one row"):
        calibration(**{**tables, name: tables[name].head(0)})


GROUPS = pd.DataFrame(
    {
        "group": ["floor", "slope"],
        "phrase": ["floor of a benchmark", "slope"],
        "elements": [12, 1],
        "contraction": [0.2, 0.9],
        "worst": [-0.1, 0.9],
        "worst_at": ["mmlu", ""],
        "verdict": ["prior-driven", "identified"],
    }
)


@pytest.fixture
def parameters():
    """Twelve floors, ever better known, and one slope, far outside its prior."""
    floors = pd.DataFrame({"group": "floor", "contraction": np.linspace(-0.1, 0.5, 12)})
    floors = floors.assign(verdict="prior-driven", posterior_median=np.linspace(0.5, 1.6, 12))
    slope = pd.DataFrame({"group": ["slope"], "contraction": 0.9, "posterior_median": 7.0})
    rows = pd.concat([floors, slope.assign(verdict="identified")], ignore_index=True)
    for end, by in (("lower", -1.0), ("upper", 1.0)):
        rows[f"posterior_{end}"] = rows["posterior_median"] + by
        rows[f"prior_{end}"] = 1.7 * by
    return rows


def test_posteriors_lie_beside_their_priors(parameters):
    ax = prior_posterior(GROUPS, parameters, n_draws=500)
    medians = np.concatenate(points(ax))
    floors = np.sort(medians[medians[:, 1] < 0.5, 0])
    assert len(floors) == 9  # of twelve, the least and the most contracted among them
    assert floors[[0, -1]] == pytest.approx([0.5, 1.6])
    assert medians[-1] == pytest.approx([4.0, 1.0])  # at the end of the axis
    bars = [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]
    np.testing.assert_allclose(bars, [(-1.7, 1.7)] * 2)
    assert [t.get_text() for t in ax.texts] == ["0.20, -0.10 mmlu", "0.90"]
    assert [t.get_weight() for t in ax.texts] == ["bold", "normal"]
    assert "500 draws" in ax.get_xlabel()


def test_a_picture_of_no_groups_is_refused(parameters):
    with pytest.raises(ValueError, match="at least one row"):
        prior_posterior(GROUPS[:0], parameters, n_draws=500)


def test_the_open_direction_stands_beside_the_correlations_of_its_block():
    names = ["floor[mmlu]", "b[mmlu]", "b[bbh]"]
    values = pd.DataFrame([[1, -0.9, 0], [-0.9, 1, 0.3], [0, 0.3, 1]], names, names)
    weights = pd.DataFrame(
        {"block": ["mmlu", "mmlu", "bbh"], "parameter": names, "worst": [1.0, -0.8, 1.0]}
    )
    figure = open_direction(values, weights, "mmlu", n_draws=500)
    left, right = figure.axes
    np.testing.assert_allclose(left.images[0].get_array(), [[1, -0.9], [-0.9, 1]])
    assert [t.get_text() for t in left.texts] == ["-0.9", "-0.9"]
    assert [t.get_text() for t in left.get_yticklabels()] == names[:2]
    assert [p.get_width() for p in right.patches] == pytest.approx([1.0, -0.8])
    with pytest.raises(ValueError, match=r"one of \['mmlu', 'bbh'\], but is 'gsm8k'"):
        open_direction(values, weights, "gsm8k", n_draws=500)
