"""Pictures of a fit, each with words that tell what it shows: for a page, a file or a screen reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pandas as pd

from scalebayes import plots as draw
from scalebayes.data.schema import quoted, suggestion
from scalebayes.data.validation import plural
from scalebayes.evaluation import scoring
from scalebayes.evaluation.heldout import held_out
from scalebayes.evaluation.predictions import PLURAL
from scalebayes.identifiability.verdicts import identifiability as identify
from scalebayes.plots.axes import short
from scalebayes.prediction import trajectories
from scalebayes.prediction.designs import CELL
from scalebayes.skills import skills as skills_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

    from scalebayes.evaluation.predictions import HeldOut
    from scalebayes.identifiability.verdicts import Identifiability
    from scalebayes.inference.posterior import Fit
    from scalebayes.prediction.designs import Quantity

MOST_FAMILIES = 3
"""Families whose curves are drawn over one another."""

MOST_FAMILIES_ASKED = 6
"""The same where they are asked for: as many as there are line styles."""

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


def picture(fit: Fit, kind: str, *, of: Quantity | None = None, seed: int = 0) -> Picture:
    """Draw a picture of a fit.

    Args:
        fit: The fit.
        kind: One of `KINDS`.
        of: `score` or `loss`, for those of `OF_PREDICTIONS`; by default scores if there are any.
        seed: Seed of the predictive draws.

    Raises:
        ValueError: If there is no such kind, or the fit has not what it shows.
    """
    if kind not in KINDS:
        raise ValueError(
            f"there is no picture of kind {kind!r}"
            + (suggestion(kind, KINDS) or f": there are {quoted(KINDS)}")
        )
    if of is not None and kind not in OF_PREDICTIONS:
        raise ValueError(
            f"a picture of {kind} is not of scores or losses: leave out of={of!r}, or draw "
            f"{quoted(OF_PREDICTIONS)}"
        )
    return KINDS[kind](fit, of, seed)


def intervals(table: pd.DataFrame) -> Picture:
    """Predictive intervals: a table of `predict`, or of `scoring.scores` with observed values."""
    quantity: Quantity = "loss" if "domain" in table else "score"
    column: Literal["benchmark", "domain"] = "domain" if "domain" in table else "benchmark"
    n_model, n_column = table["model"].nunique(), table[column].nunique()
    figure = draw.interval_panels(table, by="model" if n_column > 1 else column)
    of = f"{plural(n_model, 'model')} on {plural(n_column, column)}"
    if "observed" not in table:
        return Picture(figure, f"Predictive intervals of {of}. 90% intervals: {_named(table)}.")
    words = [
        f"Predictive intervals of {of}, beside the {PLURAL[quantity]}.",
        f"{table['inside_90'].sum()} of {len(table)} {PLURAL[quantity]} lie inside their 90% intervals,",
        f"{table['inside_50'].sum()} inside their 50% intervals.",
    ]
    if not table["inside_90"].all():
        words.append(f"Outside the 90% intervals: {_named(table[~table['inside_90']])}.")
    return Picture(figure, " ".join(words))


def calibration(held: HeldOut) -> Picture:
    """How predictions of held-out scores, or losses, came out: coverage, PIT, its ECDF, CRPS by distance."""
    one, many, unit = held.of, PLURAL[held.of], " points" if held.of == "score" else ""
    table, groups = scoring.scores(held), scoring.calibration(held, "distance")
    found = scoring.calibration(held).iloc[0]
    ecdf = scoring.pit_ecdf(held)
    figure = draw.calibration(table, scoring.coverage(held), ecdf, groups)
    away = (ecdf["ecdf"] - ecdf["value"]).to_numpy()
    furthest = np.abs(away).argmax()
    inside = ecdf["ecdf"].between(ecdf["lower"], ecdf["upper"]).all()
    bins, _ = np.histogram(table["pit"], np.linspace(0, 1, 11))
    far = "; ".join(
        f"{row['distance']}, {row['crps']:.{1 if unit else 3}f}{unit} and {row['coverage_90']:.0%} of "
        f"{plural(row[many], one, many)} inside"
        for row in groups.to_dict("records")
    )
    return Picture(
        figure,
        f"Calibration of {plural(len(table), f'held-out {one}', f'held-out {many}')} of "
        f"{plural(found['models'], 'model')}. {found['coverage_50']:.0%} lie inside the 50% intervals, "
        f"{found['coverage_90']:.0%} inside the 90% intervals. {many.capitalize()} in each tenth of the "
        f"probability of a smaller {one}: {', '.join(map(str, bins))}. Its distribution is furthest from uniform at "
        f"{ecdf['value'][furthest]:.2f}, by {away[furthest]:+.2f}, and {'stays in' if inside else 'leaves'} the "
        f"95% band of independent calibrated {many}. Mean CRPS and coverage of 90% intervals by "
        f"decades of compute past the family's largest seen model: {far}.",
    )


def curves(
    fit: Fit,
    seed: int = 0,
    *,
    of: Quantity | None = None,
    asked: pd.DataFrame | None = None,
    new_families: Sequence[str] = (),
) -> Picture:
    """Predictive bands along training compute, with what was measured.

    They are of the families asked for, and then of those with most models, held-out ones first.

    Args:
        fit: The fit.
        seed: Seed of the predictive draws.
        of: `score`, or `loss`; by default scores if there are any.
        asked: Table of `described_predictions`: the curve of a family goes through the model with most FLOPs that is
            asked for, and all are marked.
        new_families: As in `predict`.
    """
    of = of or ("score" if fit.observations.benchmarks else "loss")
    points = trajectories.measured(fit, of=of)
    by_family = points.groupby("family", sort=False)
    order = by_family.agg(hidden=("held_out", "any"), models=("model", "nunique"))
    order = order.sort_values(["hidden", "models"], ascending=False, kind="stable")
    wanted = [] if asked is None else list(dict.fromkeys(asked["family"]))[:MOST_FAMILIES_ASKED]
    families = list(dict.fromkeys([*wanted, *order.index]))[: max(MOST_FAMILIES, len(wanted))]
    if asked is None:
        table = trajectories.trajectory(
            fit, families, along="flops", of=of, points=POINTS, seed=seed
        )
    else:
        table = _through(fit, families, asked, of, new_families, seed)
    column = CELL[of][1]
    ends = table.groupby(["family", column], sort=False).tail(1)
    told = [
        f"{row['family']} on {row[column]} {row['lower_90']:.3f} to {row['upper_90']:.3f}"
        for row in ends.head(MOST_NAMED).to_dict("records")
    ]
    more = f"; and {len(ends) - len(told)} more" if len(ends) > len(told) else ""
    marked = ""
    if asked is not None:
        drawn = asked[asked["family"].isin(families) & asked["flops"].notna()]
        marked = f" Marked, the models asked for: {_named(drawn) or 'none'}."
    return Picture(
        draw.curves(table, points, asked=asked),
        f"Predicted {of} along training FLOPs of {', '.join(families)}, one panel a {column}, with "
        f"what was measured. 90% intervals at the right end, {short(ends['flops'].max())} FLOPs: "
        f"{'; '.join(told)}{more}.{marked}",
    )


def _through(
    fit: Fit,
    families: list[str],
    asked: pd.DataFrame,
    of: Quantity,
    new_families: Sequence[str],
    seed: int,
) -> pd.DataFrame:
    """Curves of families along FLOPs; each goes through the model with most FLOPs that is asked for of the family."""
    models = fit.observations.models
    own = models[models["family"].isin(families)]
    flops = (own if len(own) else models)["flops"]
    ends = pd.concat([flops / 2, flops * 2, asked["flops"]]).dropna()
    span = (ends.min(), ends.max()) if len(ends) else None
    curves = []
    for family in families:
        at = asked[(asked["family"] == family) & asked["flops"].notna() & asked["tokens"].notna()]
        fixed, values = None, None
        if len(at):
            top = at.sort_values("flops").iloc[-1]
            fixed = float(top["tokens"] / top["params"])
            values = {c.name: top[c.name] for c in fit.covariates if c.name in at}
        curve = trajectories.trajectory(
            fit, family, along="flops", fixed=fixed, span=span, points=POINTS, of=of,
            new_families=new_families, covariates=values, seed=seed,
        )  # fmt: skip
        curves.append(curve)
    table = pd.concat(curves, ignore_index=True)
    table.attrs = dict(curves[0].attrs)
    return table


def skills(fit: Fit, seed: int) -> Picture:
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
    column, showed = ("domain", "had") if "domain" in table else ("benchmark", "scored")
    named = [
        f"{row['model']} on {row[column]}"
        + (f" {showed} {row['observed']:.3f}, not" if "observed" in row else "")
        + f" {row['lower_90']:.3f} to {row['upper_90']:.3f}"
        for row in table.head(MOST_NAMED).to_dict("records")
    ]
    more = len(table) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")


KINDS: dict[str, Callable[[Fit, Quantity | None, int], Picture]] = {
    "intervals": lambda fit, of, seed: intervals(scoring.scores(held_out(fit, of=of, seed=seed))),
    "calibration": lambda fit, of, seed: calibration(held_out(fit, of=of, seed=seed)),
    "curves": lambda fit, of, seed: curves(fit, seed, of=of),
    "identifiability": lambda fit, _, seed: identifiability(identify(fit, seed=seed)),
    "skills": lambda fit, _, seed: skills(fit, seed),
}
"""Pictures by name, from a fit, `of`, and a seed of predictive draws."""

OF_PREDICTIONS = ("intervals", "calibration", "curves")
"""Pictures of predictions, of scores or of losses."""
