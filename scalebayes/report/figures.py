"""Pictures of a fit, each with words that tell what it shows: for a page, a file or a screen reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from scalebayes import plots as draw
from scalebayes.data.schema import quoted, suggestion
from scalebayes.data.validation import plural
from scalebayes.evaluation import scoring
from scalebayes.evaluation.heldout import held_out
from scalebayes.identifiability.verdicts import identifiability as identify
from scalebayes.plots.axes import short
from scalebayes.prediction import trajectories
from scalebayes.skills import skills as skills_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.figure import Figure

    from scalebayes.evaluation.predictions import HeldOut
    from scalebayes.identifiability.verdicts import Identifiability
    from scalebayes.inference.posterior import Fit
    from scalebayes.prediction.designs import Quantity

MOST_FAMILIES = 3
"""Families whose curves are drawn over one another."""

POINTS = 25
"""Points of a curve."""

MOST_NAMED = 8
"""Predictions that the words on a picture name one by one; tables have all."""


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows.

    Attributes:
        figure: What is drawn; `matplotlib.pyplot.close` it when done.
        shows: The same in words and numbers, for those who cannot see it.
    """

    figure: Figure
    shows: str


def picture(fit: Fit, kind: str, *, seed: int = 0) -> Picture:
    """Draw a picture of a fit.

    Args:
        fit: The fit.
        kind: One of `KINDS`.
        seed: Seed of the predictive draws.

    Raises:
        ValueError: If there is no such kind, or the fit has not what it shows.
    """
    if kind not in KINDS:
        raise ValueError(
            f"there is no picture of kind {kind!r}"
            + (suggestion(kind, KINDS) or f": there are {quoted(KINDS)}")
        )
    return KINDS[kind](fit, seed)


def intervals(table: pd.DataFrame) -> Picture:
    """Predictive intervals of scores: a table of `predict`, or of `scoring.scores` with observed values."""
    if "benchmark" not in table:
        raise ValueError("intervals are drawn of scores, but the fit is of losses alone")
    n_model, n_benchmark = table["model"].nunique(), table["benchmark"].nunique()
    figure = draw.interval_panels(table, by="model" if n_benchmark > 1 else "benchmark")
    of = f"{plural(n_model, 'model')} on {plural(n_benchmark, 'benchmark')}"
    if "observed" not in table:
        return Picture(figure, f"Predictive intervals of {of}. 90% intervals: {_named(table)}.")
    words = [
        f"Predictive intervals of {of}, beside the scores.",
        f"{table['inside_90'].sum()} of {len(table)} scores lie inside their 90% intervals,",
        f"{table['inside_50'].sum()} inside their 50% intervals.",
    ]
    if not table["inside_90"].all():
        words.append(f"Outside the 90% intervals: {_named(table[~table['inside_90']])}.")
    return Picture(figure, " ".join(words))


def calibration(held: HeldOut) -> Picture:
    """How predictions of held-out scores came out: coverage, PIT and its ECDF, CRPS by distance."""
    table, groups = scoring.scores(held), scoring.calibration(held, "distance")
    found = scoring.calibration(held).iloc[0]
    ecdf = scoring.pit_ecdf(held)
    figure = draw.calibration(table, scoring.coverage(held), ecdf, groups)
    away = (ecdf["ecdf"] - ecdf["value"]).to_numpy()
    furthest = np.abs(away).argmax()
    inside = ecdf["ecdf"].between(ecdf["lower"], ecdf["upper"]).all()
    bins, _ = np.histogram(table["pit"], np.linspace(0, 1, 11))
    far = "; ".join(
        f"{row['distance']}, {row['crps']:.1f} points and {row['coverage_90']:.0%} of "
        f"{plural(row['scores'], 'score')} inside"
        for row in groups.to_dict("records")
    )
    return Picture(
        figure,
        f"Calibration of {plural(len(table), 'held-out score')} of "
        f"{plural(found['models'], 'model')}. {found['coverage_50']:.0%} lie inside the 50% intervals, "
        f"{found['coverage_90']:.0%} inside the 90% intervals. Scores in each tenth of the probability "
        f"of a smaller score: {', '.join(map(str, bins))}. Its distribution is furthest from uniform at "
        f"{ecdf['value'][furthest]:.2f}, by {away[furthest]:+.2f}, and {'stays in' if inside else 'leaves'} the "
        f"95% band of independent calibrated scores. Mean CRPS and coverage of 90% intervals by "
        f"decades of compute past the family's largest seen model: {far}.",
    )


def curves(fit: Fit, seed: int = 0) -> Picture:
    """Predictive bands along training compute of the families with most models, held-out ones first."""
    own = fit.observations
    of: Quantity = "score" if own.benchmarks else "loss"
    points = trajectories.measured(fit, of=of)
    by_family = points.groupby("family", sort=False)
    order = by_family.agg(hidden=("held_out", "any"), models=("model", "nunique"))
    order = order.sort_values(["hidden", "models"], ascending=False, kind="stable")
    families = list(order.index[:MOST_FAMILIES])
    table = trajectories.trajectory(fit, families, along="flops", of=of, points=POINTS, seed=seed)
    column = "benchmark" if of == "score" else "domain"
    ends = table.groupby(["family", column], sort=False).tail(1)
    told = [
        f"{row['family']} on {row[column]} {row['lower_90']:.3f} to {row['upper_90']:.3f}"
        for row in ends.head(MOST_NAMED).to_dict("records")
    ]
    more = f"; and {len(ends) - len(told)} more" if len(ends) > len(told) else ""
    return Picture(
        draw.curves(table, points),
        f"Predicted {of} along training FLOPs of {', '.join(families)}, one panel a {column}, with "
        f"what was measured. 90% intervals at the right end, {short(ends['flops'].max())} FLOPs: "
        f"{'; '.join(told)}{more}.",
    )


def skills(fit: Fit, seed: int = 0) -> Picture:
    """How much each skill counts on each benchmark."""
    table = skills_of(fit, seed=seed).loadings
    told = [
        f"{skill}: "
        + ", ".join(f"{b} {m:.2f}" for b, m in zip(rows["benchmark"], rows["median"], strict=True))
        for skill, rows in table.groupby("skill", sort=False)
    ]
    return Picture(
        draw.loadings(table),
        f"Median loadings of benchmarks on skills, in logits. {'; '.join(told)}.",
    )


def identifiability(found: Identifiability) -> Picture:
    """Posteriors beside their priors, group by group."""
    groups = found.groups
    told = [
        f"{row['phrase']} ({row['group']}): {row['verdict']}, contraction {row['contraction']:.2f}"
        for row in groups.to_dict("records")
    ]
    ax = draw.prior_posterior(groups, found.elements, n_draws=found.n_draws)
    return Picture(
        cast("Figure", ax.figure),
        f"Posterior beside prior of {plural(len(groups), 'group')} of parameters. {'; '.join(told)}.",
    )


def _named(table: pd.DataFrame) -> str:
    """Predictions one by one, with their 90% intervals."""
    named = [
        f"{row['model']} on {row['benchmark']}"
        + (f" scored {row['observed']:.3f}, not" if "observed" in row else "")
        + f" {row['lower_90']:.3f} to {row['upper_90']:.3f}"
        for row in table.head(MOST_NAMED).to_dict("records")
    ]
    more = len(table) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")


KINDS: dict[str, Callable[[Fit, int], Picture]] = {
    "intervals": lambda fit, seed: intervals(scoring.scores(held_out(fit, seed=seed))),
    "calibration": lambda fit, seed: calibration(held_out(fit, of="score", seed=seed)),
    "curves": curves,
    "identifiability": lambda fit, seed: identifiability(identify(fit, seed=seed)),
    "skills": skills,
}
"""Pictures by name, from a fit and a seed of predictive draws."""
