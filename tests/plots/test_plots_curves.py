"""Pictures of scaling curves: what is drawn where, on hand-made tables."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from scalebayes.plots import curves, two_steps
from scalebayes.plots.axes import short

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def bands(rows, median):
    table = rows.assign(kind="known family", median=median)
    for level, half in (("50", 0.02), ("90", 0.05)):
        table[f"lower_{level}"], table[f"upper_{level}"] = median - half, median + half
    table.attrs = {"draws": 400, "kind": "score"}
    return table


@pytest.fixture
def table():
    """Two families on two benchmarks along size, at 1T and 2T tokens."""
    rows = pd.DataFrame(
        [
            (family, params, tokens, 6 * params * tokens, benchmark)
            for family, tokens in (("red", 1e12), ("blue", 2e12))
            for params in (1e9, 1e10, 1e11)
            for benchmark in ("mmlu", "gsm8k")
        ],
        columns=["family", "params", "tokens", "flops", "benchmark"],
    )
    return bands(rows, np.linspace(0.3, 0.8, len(rows)))


@pytest.fixture
def points():
    """Models of the red family: one near the curve's tokens, one far off, one held out; one of no curve."""
    rows = [
        ("red-1", "red", 2e9, 1.5e12, 0.40, False),
        ("red-2", "red", 5e9, 3.0e12, 0.45, False),
        ("red-3", "red", 5e10, 1.0e12, 0.70, True),
        ("red-4", "red", 7e9, np.nan, 0.50, False),
        ("green", "green", 7e9, 1.0e12, 0.55, False),
    ]
    table = pd.DataFrame(rows, columns=["model", "family", "params", "tokens", "score", "held_out"])
    return table.assign(flops=6 * table["params"] * table["tokens"], benchmark="mmlu")


def dots(ax):
    """Drawn points as (x, y): (area, opacity, filled)."""
    return {
        tuple(at): (c.get_sizes()[0], c.get_alpha(), not (c.get_facecolor()[0, :3] == 1).all())
        for c in ax.collections
        if isinstance(c, PathCollection)
        for at in np.asarray(c.get_offsets())
    }


def texts(figure):
    [legend] = figure.legends
    return [text.get_text() for text in legend.get_texts()], figure.get_supxlabel()


def test_each_benchmark_has_a_panel_with_a_line_and_two_bands_a_family(table):
    figure = curves(table)
    assert [ax.get_title() for ax in figure.axes] == ["mmlu", "gsm8k"]
    for ax in figure.axes:
        rows = table[(table["benchmark"] == ax.get_title()) & (table["family"] == "blue")]
        line = ax.lines[1]
        np.testing.assert_array_equal(line.get_xdata(), rows["params"])
        np.testing.assert_array_equal(line.get_ydata(), rows["median"])
        assert ax.get_xscale() == "log"
        spans = [np.ptp(c.get_paths()[0].vertices[:, 1]) for c in ax.collections]
        wide = np.ptp(rows["median"]) + np.array([0.10, 0.04])
        assert spans[2:] == pytest.approx(wide)


def test_families_differ_in_colour_and_line(table):
    red, blue = curves(table).axes[0].lines
    assert red.get_color() != blue.get_color()
    assert red.get_linestyle() != blue.get_linestyle()


def test_points_tell_what_was_seen_held_out_and_off_the_curve(table, points):
    found = dots(curves(table, points).axes[0])
    assert set(found) == {(2e9, 0.40), (5e9, 0.45), (5e10, 0.70), (7e9, 0.50)}
    near, off, hidden = (found[at] for at in [(2e9, 0.40), (5e9, 0.45), (5e10, 0.70)])
    assert off[1] < near[1] == hidden[1] == 1
    assert near[2]
    assert not hidden[2]
    assert hidden[0] > near[0]


def test_points_without_a_place_on_the_axis_are_counted(table, points):
    along = table.assign(params=7e10, tokens=np.repeat([1e11, 1e12, 1e13] * 2, 2))
    figure = curves(along, points)
    assert (2e9, 0.40) not in dots(figure.axes[0])
    assert (1.5e12, 0.40) in dots(figure.axes[0])
    labels, caption = texts(figure)
    assert labels == ["red: 70B parameters", "blue: 70B parameters"]
    assert "Not drawn: 1 of models with unknown training tokens" in caption


def test_the_legend_and_the_caption_say_what_is_drawn(table, points):
    labels, caption = texts(curves(table, points))
    assert labels == ["red: 1T tokens", "blue: 2T tokens"]
    assert caption.startswith("parameters\n")
    assert "50% and 90% intervals from 400 posterior draws" in caption
    assert "held out" in caption
    assert "Pale: tokens more than a factor of 2" in caption
    _, bare = texts(curves(table))
    assert "held out" not in bare


def test_unknown_tokens_and_new_families_are_said_to_be_so(table):
    red = table["family"] == "red"
    table.loc[red, ["tokens", "flops"]] = np.nan
    table.loc[~red, "kind"] = "new family"
    labels, _ = texts(curves(table))
    assert labels == ["red: unknown tokens", "blue: 2T tokens, a new family"]


def test_compute_at_one_ratio_is_the_axis_of_a_curve_along_compute(table):
    figure = curves(table.assign(tokens=20 * table["params"], flops=120 * table["params"] ** 2))
    labels, caption = texts(figure)
    assert labels[0] == "red: 20 tokens per parameter"
    assert caption.startswith("training FLOPs\n")
    assert figure.axes[0].lines[0].get_xdata().tolist() == [1.2e20, 1.2e22, 1.2e24]


def test_expected_losses_are_labelled_with_their_unit(table, points):
    table = table.rename(columns={"benchmark": "domain"})
    table.attrs["kind"] = "mean"
    losses = points.rename(columns={"benchmark": "domain", "score": "loss"})
    figure = curves(table, losses.assign(unit="nats/token"))
    assert figure.axes[0].get_ylabel() == "expected loss (nats/token)"
    assert curves(table).axes[0].get_ylabel() == "expected loss"


def test_the_two_steps_share_their_losses_and_scores(table, points):
    rows = table[(table["family"] == "red") & (table["benchmark"] == "mmlu")]
    loss = rows.rename(columns={"benchmark": "domain"}).assign(domain="c4")
    step_2 = pd.DataFrame({"family": "red", "benchmark": "mmlu", "domain": "c4"}, range(3))
    step_2 = bands(step_2.assign(loss=[2.0, 2.5, 3.0]), np.array([0.7, 0.5, 0.3]))
    both = points.assign(loss=[2.9, 2.7, 2.1, 2.6, 2.5], unit="nats/token", domain="c4")
    figure = two_steps(loss, step_2, rows, both)
    one, two, three = figure.axes
    left, right = two.get_xlim()
    assert left > right
    assert two.get_xlabel() == one.get_ylabel() == "loss (nats/token) on c4"
    assert two.get_ylabel() == three.get_ylabel() == "score on mmlu"
    assert two.get_ylim() == three.get_ylim()
    assert {x for x, _ in dots(two)} == {2.9, 2.7, 2.1, 2.6}
    assert {y for _, y in dots(one)} == {2.9, 2.7, 2.1}
    assert {y for _, y in dots(three)} == {0.40, 0.45, 0.70}
    np.testing.assert_array_equal(two.lines[0].get_ydata(), step_2["median"])
    assert "400 posterior draws" in texts(figure)[1]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda t: t.drop(columns="lower_90"), "lower_90"),
        (lambda t: t.drop(columns="params"), "params"),
        (lambda t: t.head(0), "no rows"),
        (lambda t: t.assign(family=[f"f{i}" for i in range(len(t))]), "at most 6 families"),
    ],
)
def test_tables_that_cannot_be_drawn_are_refused(table, broken, says):
    with pytest.raises(ValueError, match=says):
        curves(broken(table))


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.6e8, "560M"), (7e9, "7B"), (1.76e11, "176B"), (2e12, "2T"), (1e22, "1e22"), (20, "20"), (3e3, "3k")],
)  # fmt: skip
def test_counts_are_short(value, text):
    assert short(value) == text


def test_labels_of_a_logarithmic_axis_are_few_and_short(table):
    ax = curves(table).axes[0]
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    at = [t for t in ax.get_xticks() if low <= t <= high]
    labels = [t.get_text() for t in ax.get_xticklabels()]
    assert {"1B", "10B", "100B"} <= set(labels)
    assert 2 <= len(at) <= 8
