"""Sections of a report that tell what a fit says: verdict, predictions, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalebayes.data.schema import quoted
from scalebayes.data.validation import plural
from scalebayes.evaluation import scoring
from scalebayes.evaluation.predictions import PLURAL
from scalebayes.identifiability import verdicts as identification
from scalebayes.inference import diagnostics
from scalebayes.prediction.designs import CELL
from scalebayes.prediction.predictive import predict
from scalebayes.prediction.ranges import far_outside
from scalebayes.report import figures as pictures
from scalebayes.report.section import Section
from scalebayes.report.tables import intervals_as_text, predictions_as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.evaluation.predictions import HeldOut
    from scalebayes.inference.posterior import Fit
    from scalebayes.prediction.designs import Quantity


def verdict(fit: Fit, compared: dict[Quantity, HeldOut]) -> Section:
    """Whether the fit can be believed, and how its predictions came out.

    Args:
        fit: The fit.
        compared: Predictions of held-out scores and losses beside their observed values.
    """
    found = fit.verdict
    text = ["Converged: the chains agree, and their draws suffice for the intervals below."]
    if not found.passed:
        text = ["Not converged: do not rely on the intervals below before this is mended."]
    points = [f"{failure[0].upper()}{failure[1:]}." for failure in found.failures]
    points += [_came_out(held) for held in compared.values()]
    if not compared:
        points.append("Nothing was held out: whether intervals hold what they promise is untested.")
    rhat = "-" if np.isnan(found.max_rhat) else f"{found.max_rhat:.3f}"
    rows = [
        ("R-hat, largest", "chains agree", rhat, f"at most {diagnostics.MAX_RHAT}",
         found.max_rhat <= diagnostics.MAX_RHAT),
        ("ESS bulk, smallest", "independent draws they are worth, for medians", f"{found.min_ess_bulk:.0f}",
         f"at least {diagnostics.MIN_ESS}", found.min_ess_bulk >= diagnostics.MIN_ESS),
        ("ESS tail, smallest", "the same, for the ends of intervals", f"{found.min_ess_tail:.0f}",
         f"at least {diagnostics.MIN_ESS}", found.min_ess_tail >= diagnostics.MIN_ESS),
        ("divergences", "parts of the posterior not explored", f"{found.divergences}", "none",
         not found.divergences),
        ("saturated trees", "trajectories cut short: slow, not biased", f"{found.saturated}", "none",
         not found.saturated),
        ("E-BFMI, smallest", "heavy tails are explored", f"{found.min_ebfmi:.2f}",
         f"at least {diagnostics.MIN_EBFMI}", found.min_ebfmi >= diagnostics.MIN_EBFMI),
    ]  # fmt: skip
    checks = pd.DataFrame(rows, columns=["check", "what it tells", "found", "asked for", "met"])
    return Section(
        "verdict",
        "Verdict",
        text,
        points,
        tables={"Checks of the sampler, on the expected scores and losses": checks},
        status="good" if found.passed else "bad",
    )


def described_predictions(
    fit: Fit, models: Observations, new_families: Sequence[str], seed: int
) -> pd.DataFrame:
    """Predictions of models that the reader asks for, with the columns that describe each model.

    They are of scores where the law has any, else of losses; the arguments are those of `predict`.
    """
    of: Quantity = "score" if fit.design.labels("benchmark") else "loss"
    table = predict(fit, models, of=of, new_families=new_families, seed=seed)
    described = models.models.drop(columns=["family", "run", "lineage"])
    return table.merge(described, on="model")


def predictions(fit: Fit, table: pd.DataFrame) -> Section:
    """Predictions of models that the reader asks for: a table of `described_predictions`."""
    of = "score" if "benchmark" in table else "loss"
    text = [
        f"The {of} that an evaluation of each model will show. flops_past is how many decades of training FLOPs it "
        "lies past the largest model that the fit has seen: 1 is ten times as much, 0 and less is inside. "
        "ratio_outside, shown where any model is outside, is the same for tokens per parameter."
    ]
    new = table.loc[table["kind"] == "new family", "family"].unique()
    if len(new):
        text.append(
            f"The law has seen nothing of {quoted(new)}: drawn from the population of families, "
            "hence the wide intervals."
        )
    models = table.drop_duplicates("model", ignore_index=True)
    points = [
        f"{told[:1].upper()}{told[1:]}{'' if told.endswith('?') else '.'}"
        for told in far_outside(fit, models)
    ]
    described = ["params", "tokens", "flops", *fit.observations.covariates]
    shown = predictions_as_text(table.drop(columns=described, errors="ignore"))
    caption = f"Predictions of {plural(table['model'].nunique(), 'model')}, with central intervals"
    drawn = [pictures.intervals(table)]
    return Section(
        "predictions", "Predictions", text, points, pictures=drawn, tables={caption: shown}
    )


def of_held_out(compared: dict[Quantity, HeldOut]) -> Section:
    """Predictions of what the fit was not shown beside what was observed."""
    shown = {}
    for of, held in compared.items():
        table = scoring.scores(held)
        columns = [*CELL[of], "observed", "median", "lower_50", "upper_50", "lower_90"]
        scored = intervals_as_text(table[[*columns, "upper_90"]])
        scored["inside 90%"] = table["inside_90"]
        scored["flops_past"] = table["flops_past"]
        shown[
            f"{PLURAL[of].capitalize()} of models that the law was not shown, beside its predictions"
        ] = scored
    return Section(
        "held-out",
        "Held-out predictions",
        [
            "What the law was not shown, beside what it expected. With calibrated intervals one in ten lies "
            "outside its 90% interval. flops_past is how many decades of training FLOPs a model lies past the largest "
            "that the fit has seen."
        ],
        pictures=[pictures.intervals(scoring.scores(held)) for held in compared.values()],
        tables=shown,
    )


def calibration(held: HeldOut) -> Section:
    """Coverage, PIT and scores of held-out predictions, as a picture and tables."""
    many, column = PLURAL[held.of], CELL[held.of][1]
    groups = {"distance": "By decades of compute past the family's largest seen model"}
    if held.cells[column].nunique() > 1:
        groups[column] = f"By {column}"
    of_losses = held.of == "loss"
    return Section(
        "calibration-of-losses" if of_losses else "calibration",
        "Calibration of losses" if of_losses else "Calibration",
        [
            f"Intervals of probability p should hold a share p of {many}. {many.capitalize()} of one model err "
            "together, so that few models tell little. CRPS is the error of a whole distribution, in "
            f"{'the unit of the losses' if of_losses else 'points of score'}: smaller is better.",
        ],
        pictures=[pictures.calibration(held)],
        tables={
            caption: _for_readers(scoring.calibration(held, by)) for by, caption in groups.items()
        },
    )


def curves(fit: Fit, asked: pd.DataFrame | None, new_families: Sequence[str], seed: int) -> Section:
    """What the fit expects along training compute, beside what was measured.

    Args:
        fit: The fit.
        asked: Table of `described_predictions`, through whose models the curves go; None if there are none.
        new_families: As in `predict`.
        seed: Seed of the predictive draws.
    """
    text = ["What an evaluation of a further model of a family will show, by its training compute."]
    if asked is not None:
        text.append(
            "The curve of a family that is asked for goes through its largest model in the predictions above, at "
            "that model's tokens per parameter."
        )
    picture = pictures.curves(fit, seed, asked=asked, new_families=new_families)
    return Section("curves", "Curves", text, pictures=[picture])


def identifiability(fit: Fit, seed: int) -> Section:
    """What the data identify, and what rests on priors."""
    heading = "identifiability", "What the data identify"
    try:
        found = identification.identifiability(fit, seed=seed)
    except ValueError as too_few_draws:
        return Section(*heading, [f"Not judged: {too_few_draws}."])
    open_ones = found.groups[found.groups["verdict"] != "identified"]
    columns = ["group", "phrase", "contraction", "prior_sensitivity", "verdict", "remedy"]
    shown = found.groups[columns].round({"contraction": 2, "prior_sensitivity": 2})
    return Section(
        *heading,
        [
            "Contraction is the share of the prior's variance that the data have taken away. What is "
            "prior-driven rests on the reason for its prior, below; predictions average over it.",
            f"{len(found.groups) - len(open_ones)} of {plural(len(found.groups), 'group')} of parameters "
            "are identified.",
        ],
        list(found.lacking),
        pictures=[pictures.identifiability(found)],
        tables={"Groups of parameters, posterior against prior": shown},
    )


def _came_out(held: HeldOut) -> str:
    """How well held-out scores, or losses, were predicted, in one sentence."""
    table = scoring.scores(held)
    n, found = len(table), scoring.figures(table).iloc[0]
    inside = {p: int(table[f"inside_{p}"].sum()) for p in (50, 90)}
    size = f"{found['error']:.1f} points" if held.of == "score" else f"{found['error']:.3f}"
    return (
        f"{inside[90]} of {n} {PLURAL[held.of]} of {plural(int(found['models']), 'held-out model')} lie inside their "
        f"90% intervals and {inside[50]} inside their 50% intervals; calibrated ones would hold "
        f"{0.9 * n:.0f} and {0.5 * n:.0f}. The median is off by {size} on average."
    )


def _for_readers(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `scoring.calibration` in the words and units of readers."""
    shares = {f"coverage_{p}": f"inside {p}%" for p in (50, 90)}
    sizes = {
        "error": "mean error", "bias": "bias", "crps": "CRPS", "width_90": "width of 90%"
    }  # fmt: skip
    size = "{:.1f}" if "scores" in table else "{:.3f}"  # points, or the unit of losses
    shown = table.drop(columns=["energy", "interval_score", "coverage_80", "coverage_95"])
    for column in shares:
        shown[column] = shown[column].map("{:.0%}".format)
    for column in sizes:
        shown[column] = shown[column].map(size.format)
    return shown.astype({shown.columns[0]: str}).rename(columns=shares | sizes)
