"""two_steps: loss along training compute, score along the loss, and score along training compute."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from scalebayes.data.schema import description_columns
from scalebayes.prediction.designs import covariates_of, design_of_models
from scalebayes.prediction.new_levels import new_names
from scalebayes.prediction.pointwise import at_cells
from scalebayes.prediction.predictive import summary
from scalebayes.prediction.reliability import checked, warn_if_far
from scalebayes.prediction.trajectories import chosen_labels, measured, trajectory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.inference.posterior import Fit
    from scalebayes.prediction.designs import Quantity
    from scalebayes.prediction.predictive import Kind


class Steps(NamedTuple):
    """Curves of the two steps of a law with losses for one benchmark, and of their composition.

    Attributes:
        loss: Step 1, the loss along training compute; columns as in `trajectory`.
        accuracy: Step 2, the score along the loss: family, benchmark, domain, loss, mean, median, sd, intervals.
        chained: Both steps, the score along training compute; columns as in `trajectory`.
        points: Observed values: model, family, benchmark, domain, params, tokens, flops, loss, unit, score, held_out.
    """

    loss: pd.DataFrame
    accuracy: pd.DataFrame
    chained: pd.DataFrame
    points: pd.DataFrame


@checked
def two_steps(
    fit: Fit,
    benchmark: str,
    families: str | Sequence[str] | None = None,
    *,
    fixed: float | None = None,
    span: tuple[float, float] | None = None,
    points: int = 40,
    kind: Kind = "score",
    prob: Sequence[float] = (0.5, 0.9),
    seed: int = 0,
) -> Steps:
    """Predict the loss along training compute, the score along the loss, and the score along training compute.

    Step 2 conditions on losses as if they had been observed. Its intervals hold the uncertainty of the second
    step alone.

    Args:
        fit: A fit of a law in which one loss drives each benchmark, `Ladder` or `Flp`.
        benchmark: The benchmark.
        families: One family or several; by default all.
        fixed: Tokens per parameter, as in `trajectory`.
        span: Both ends of the curve in FLOPs, as in `trajectory`.
        points: Number of points of each curve.
        kind: As in `predict`.
        prob: Probabilities of the central intervals.
        seed: Seed of the predictive draws.

    Warns:
        ExtrapolationWarning: As for `trajectory`.

    Raises:
        ValueError: If the law does not have one loss per benchmark, the benchmark is unknown, or as for `trajectory`.

    Returns:
        Tables of the three curves and of the observed values.

    Example:
        >>> fit = sb.fit(sb.Ladder(), sb.datasets.olmo_ladder(), seed=0)  # doctest: +SKIP
        >>> sb.two_steps(fit, "hellaswag").accuracy  # doctest: +SKIP
    """
    drivers = fit.law.drivers(fit.design) if len(fit.parts) == 1 else None
    if drivers is None:
        laws = " and ".join(part.name for part in fit.parts)
        raise ValueError(
            "two_steps needs a fit of one law in which one loss drives each benchmark, such as Ladder or Flp, "
            f"but got one of {laws}: fit such a law, or use trajectory()"
        )
    [benchmark] = chosen_labels(fit, "benchmark", benchmark)
    j = fit.design.labels("benchmark").index(benchmark)
    domain = fit.design.labels("domain")[drivers[j]]
    families = fit.observations.families if families is None else families

    def along_flops(of: Quantity, on: str) -> pd.DataFrame:
        return trajectory(
            fit, families, along="flops", fixed=fixed, span=span, points=points, on=on, of=of,
            kind=kind, prob=prob, seed=seed,
        )  # fmt: skip

    loss, chained = along_flops("loss", domain), along_flops("score", benchmark)
    if span is not None or fixed is not None:
        warn_if_far(fit, chained)
    names = list(dict.fromkeys(loss["family"]))
    both = _both(fit, benchmark, domain)
    both = both[both["family"].isin(names)].reset_index(drop=True)
    ends = [*loss["median"], *both["loss"].dropna()]
    rows = pd.MultiIndex.from_product(
        [names, [benchmark], [domain], np.linspace(min(ends), max(ends), points)],
        names=["family", "benchmark", "domain", "loss"],
    ).to_frame(index=False)
    draws = _at_losses(fit, rows, kind, seed)[..., j]
    accuracy = rows.assign(**summary(draws.T, prob))
    accuracy.attrs = dict(loss.attrs)
    return Steps(loss, accuracy, chained, both)


def _at_losses(fit: Fit, rows: pd.DataFrame, kind: Kind, seed: int) -> np.ndarray:
    """Draws of the scores of models with a given family and loss, the same loss on all domains.

    Args:
        fit: A fit of a law whose second step sees losses only.
        rows: family and loss.
        kind: As in `predict`.
        seed: Seed of the draws.

    Returns:
        Shape (sample, row, benchmark).
    """
    n0, d0, _ = np.exp(fit.reference.middle)  # without effect, as the losses are observed
    models = rows[["family"]].assign(
        model=new_names(fit.observations.models, len(rows)), params=n0, tokens=d0
    )
    own = pd.DataFrame([covariates_of(fit, family) for family in models["family"]], models.index)
    design = design_of_models(fit, pd.concat([models, own], axis=1))
    log_loss = np.log(rows["loss"].to_numpy())[design.loss_model]
    design = replace(design, log_loss=log_loss, loss_observed=np.ones(len(log_loss), bool))
    values = at_cells(fit, design, seed, typical=kind == "mean")["score"][kind]
    return values.reshape(-1, len(rows), len(design.labels("benchmark")))


def _both(fit: Fit, benchmark: str, domain: str) -> pd.DataFrame:
    """Observed scores on a benchmark and losses on a domain in one table; NaN where one is missing."""
    scores, losses = measured(fit), measured(fit, of="loss")
    keys = description_columns(fit.observations.covariates)
    table = scores[scores["benchmark"] == benchmark].merge(
        losses[losses["domain"] == domain], "outer", on=keys, suffixes=("", "_loss")
    )
    hidden = table["held_out"].eq(True) | table.pop("held_out_loss").eq(True)
    return table.assign(benchmark=benchmark, domain=domain, held_out=hidden)
