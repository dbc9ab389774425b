"""Pictures of skills: what is drawn where, on hand-made tables."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.contour import ContourSet

from scalebayes.plots import family_effects, loadings, skill_correlations, skill_levels

mpl.use("Agg")

SKILLS = ["skill 1", "skill 2"]


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def made(medians, **labels):
    """A table of each combination of labels, with these medians."""
    rows = pd.MultiIndex.from_product(labels.values(), names=list(labels)).to_frame(index=False)
    table = rows.assign(median=medians, sd=0.1)
    for level, half in (("50", 0.1), ("90", 0.3)):
        table[f"lower_{level}"] = table["median"] - half
        table[f"upper_{level}"] = table["median"] + half
    table.attrs["draws"] = 60
    return table


def drawn(ax, names=None):
    """Median, lower and upper end of the 90% interval by name of the row."""
    names = names or [t.get_text() for t in ax.get_yticklabels()]
    wide = next(c for c in ax.collections if isinstance(c, LineCollection))
    ticks = next(c for c in ax.collections if isinstance(c, PathCollection))
    name = dict(zip(ax.get_yticks(), names, strict=True))
    ends = {name[s[0, 1]]: s[:, 0].tolist() for s in wide.get_segments()}
    return {name[y]: (x, *ends[name[y]]) for x, y in np.asarray(ticks.get_offsets())}


def test_loadings_have_their_benchmarks_row_in_each_panel():
    table = made([0.5, -0.2, 1.5, 0.8], benchmark=["mmlu", "gsm8k"], skill=SKILLS)
    figure = loadings(table)
    assert [ax.get_title() for ax in figure.axes] == SKILLS
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]  # of both
    one, two = (drawn(ax, names) for ax in figure.axes)
    assert one["gsm8k"] == pytest.approx((1.5, 1.2, 1.8))
    assert two["mmlu"] == pytest.approx((-0.2, -0.5, 0.1))
    assert "60 posterior draws" in figure.get_supxlabel()


def test_families_are_ranked_for_each_skill_beside_the_interval_of_the_first():
    table = made([0.1, 0.9, 0.5, 0.2, 0.8, -0.4], family=["a", "b", "c"], skill=SKILLS)
    figure = family_effects(table, top=2)
    one, two = figure.axes
    assert [t.get_text() for t in one.get_yticklabels()] == ["c", "b"]
    assert [t.get_text() for t in two.get_yticklabels()] == ["a", "b"]
    assert one.get_ylim()[0] > one.get_ylim()[1]  # the first on top
    assert drawn(one)["b"] == pytest.approx((0.5, 0.2, 0.8))
    [span] = one.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((0.5, 1.1))
    assert "2 of 3 families" in figure.get_supxlabel()


def test_correlations_of_each_pair_are_on_one_scale():
    table = made([0.3, -0.6], across=["models", "families"], skill=["skill 1"])
    figure = skill_correlations(table.assign(with_skill="skill 2"))
    [ax] = figure.axes
    assert ax.get_xlim() == (-1, 1)
    assert drawn(ax)["skill 1, skill 2\nacross families"] == pytest.approx((-0.6, -0.9, -0.3))


def test_level_curves_lie_where_the_skill_has_their_value():
    params, tokens = np.geomspace(1e8, 1e12, 9), np.geomspace(1e10, 1e13, 7)
    table = made(0.0, params=params, tokens=tokens, skill=SKILLS)
    skill = np.log10(table["params"]) - 10
    points = pd.DataFrame({"params": [1e9], "tokens": [1e12]})
    figure = skill_levels(table.assign(median=skill, sd=np.log10(table["tokens"])), points)
    assert [ax.get_title() for ax in figure.axes] == SKILLS
    for ax in figure.axes:
        sd, median = (c for c in ax.collections if isinstance(c, ContourSet))
        [zero] = [i for i, level in enumerate(median.levels) if np.isclose(level, 0)]
        np.testing.assert_allclose(median.get_paths()[zero].vertices[:, 0], 1e10)
        [twelve] = [i for i, level in enumerate(sd.levels) if np.isclose(level, 12)]
        np.testing.assert_allclose(sd.get_paths()[twelve].vertices[:, 1], 1e12)
        solid, dashed = median.get_linestyles()[0][1], sd.get_linestyles()[0][1]
        assert solid is None
        assert dashed is not None
        [at] = [c for c in ax.collections if isinstance(c, PathCollection)]
        np.testing.assert_array_equal(at.get_offsets(), [[1e9, 1e12]])


def test_one_skill_has_one_panel():
    table = made([0.5, 0.2], benchmark=["mmlu", "gsm8k"], skill=SKILLS[:1])
    assert len(loadings(table).axes) == 1


def test_tables_that_cannot_be_drawn_are_refused():
    table = made([0.5, -0.2], family=["a"], skill=SKILLS)
    with pytest.raises(ValueError, match="lacks \\['upper_90'\\]"):
        family_effects(table.drop(columns="upper_90"))
    with pytest.raises(ValueError, match="lacks \\['benchmark'\\]"):
        loadings(table)
    with pytest.raises(ValueError, match="it has none"):
        skill_correlations(table.assign(with_skill="skill 2").head(0))
    with pytest.raises(ValueError, match="top must be at least 1, but is 0"):
        family_effects(table, top=0)
    with pytest.raises(ValueError, match="lacks \\['params', 'tokens'\\]"):
        skill_levels(table)
