"""trajectory: predictions along a curve through (N, D); measured: observed values for comparison.

References:
    Training compute-optimal large language models (6 N D; about 20 tokens per parameter),
    https://arxiv.org/abs/2203.15556
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from scalebayes.data.compute import params_and_tokens, training_flops
from scalebayes.data.observations import Observations
from scalebayes.data.schema import description_columns, quoted, suggestion
from scalebayes.prediction.designs import CELL, covariates_of
from scalebayes.prediction.new_levels import new_names
from scalebayes.prediction.predictive import predict
from scalebayes.prediction.reliability import checked, warn_if_far

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.prediction.designs import Quantity
    from scalebayes.prediction.predictive import Kind

Along = Literal["params", "tokens", "flops"]

MAX_VALUES_PER_CALL = 3e7
"""Largest number of draws times cells in one call of `predict`: about 240 MB per array."""

TOKENS_PER_PARAM = 20.0
"""Tokens per parameter of a family without token counts: about the compute-optimal ratio."""


@checked
def trajectory(
    fit: Fitted,
    families: str | Sequence[str],
    *,
    along: Along = "params",
    fixed: float | None = None,
    span: tuple[float, float] | None = None,
    points: int = 40,
    on: str | Sequence[str] | None = None,
    of: Quantity = "score",
    kind: Kind = "score",
    prob: Sequence[float] = (0.5, 0.9),
    new_families: Sequence[str] = (),
    covariates: Mapping[str, float | str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict families along size, tokens or training compute, with intervals.

    Each point is a new model, predicted as by `predict`. Training FLOPs are 6 N D.

    Args:
        fit: The fit, or an average of fits.
        families: One family or several.
        along: The varying quantity: `params`, at a fixed token count; `tokens`, at a fixed size; or `flops`, at a
            fixed ratio of tokens to parameters.
        fixed: The fixed quantity, a count or tokens per parameter. By default that of each family's largest model
            with known tokens. If no token count of a family is known, tokens are averaged over along `params`, as
            in `predict`, and are 20 per parameter along `flops`. For a family outside the fit, the defaults are
            those of all models.
        span: Both ends of the curve, counts. By default from half the smallest to twice the largest
            of the families' models.
        points: Number of points, evenly spaced in the logarithm.
        on: Benchmarks (domains for losses) to keep; by default all.
        of: `score`, or `loss` of a law that has losses.
        kind: As in `predict`: `score`, the result of an evaluation, or `mean`, its expectation.
        prob: Probabilities of the central intervals.
        new_families: As in `predict`.
        covariates: Covariates along the curves, by name; by default those of each family's largest model.
        seed: Seed of the predictive draws.

    Returns:
        One row per family, point and benchmark (or domain): family, params, tokens and flops (NaN where
        averaged over), benchmark, and then as in `predict`: kind, flops_past, ratio_outside, mean, median, sd,
        lower_p, upper_p.
        Its `attrs` hold the number of draws and the kind.

    Warns:
        ExtrapolationWarning: As for `predict`, of the worst point of a curve whose `span` or `fixed` was given.

    Raises:
        ValueError: As for `predict`, or if a benchmark is unknown, or a number is not positive.

    Example:
        >>> curve = sb.trajectory(fit, "f0", along="params", span=(1e9, 1e11), points=2, on="arc")
        >>> curve["params"].tolist()
        [1000000000.0, 100000000000.0]

    References:
        Training compute-optimal large language models (6 N D; about 20 tokens per parameter),
        https://arxiv.org/abs/2203.15556
    """
    families = [families] if isinstance(families, str) else list(dict.fromkeys(families))
    own, column = fit.parts[0].fit, CELL.get(of, CELL["score"])[1]
    chosen = chosen_labels(own, column, on)
    grid = _grid(own.observations.models, families, along, fixed, span, points)
    if span is not None or fixed is not None:
        warn_if_far(fit, grid.drop(columns="model"))
    of_family = {f: covariates_of(fit, f, covariates) for f in families}
    names = list(next(iter(of_family.values())))
    for name in names:
        grid[name] = [of_family[f][name] for f in grid["family"]]
    declared = {name: own.observations.covariates[name] for name in names}
    n_draws = own.tree["posterior"].sizes["chain"] * own.tree["posterior"].sizes["draw"]
    n = max(1, int(MAX_VALUES_PER_CALL / (n_draws * points * len(own.design.labels(column)))))
    groups = [families[i : i + n] for i in range(0, len(families), n)]
    table = pd.concat(
        predict(
            fit,
            Observations(grid[grid["family"].isin(part)].drop(columns="flops"), covariates=declared),
            of=of, kind=kind, prob=prob, new_families=new_families, seed=seed,
        )
        for part in groups
    )  # fmt: skip
    table = table[table[column].isin(chosen)].drop(columns="family")
    table = grid.merge(table, on="model").drop(columns="model")
    table.attrs = {"draws": n_draws, "kind": kind}
    return table


def measured(fit: Fitted, *, of: Quantity = "score") -> pd.DataFrame:
    """List the observed scores or losses of a fit, held-out ones included.

    Args:
        fit: The fit, or an average of fits.
        of: `score`, or `loss`.

    Returns:
        One row per score (or loss): model, family, params, tokens, flops, benchmark, score and
        held_out (or domain, loss, unit and held_out).

    Raises:
        ValueError: If `of` is neither `score` nor `loss`.

    Example:
        >>> list(sb.measured(fit).columns)
        ['model', 'family', 'params', 'tokens', 'flops', 'benchmark', 'score', 'held_out']
    """
    if of not in CELL:
        raise ValueError(f"of must be one of {quoted(CELL)}, but is {of!r}")
    own = fit.parts[0].fit
    rows, seen = (
        (own.observations.scores, own.seen)
        if of == "score"
        else (own.observations.losses, own.losses_seen)
    )
    rows = rows.drop(columns=["n_items", "chance"], errors="ignore").assign(held_out=~seen)
    models = own.observations.models[description_columns(own.observations.covariates)]
    return models.merge(rows, on="model")


def _grid(
    models: pd.DataFrame,
    families: Sequence[str],
    along: Along,
    fixed: float | None,
    span: tuple[float, float] | None,
    points: int,
) -> pd.DataFrame:
    """Models to predict: family, model, params, tokens, flops; the names are unused in the fit."""
    if along not in get_args(Along):
        raise ValueError(f"along must be one of {quoted(get_args(Along))}, but is {along!r}")
    if not families:
        raise ValueError("families must name at least one family, but is empty")
    if fixed is not None and not 0 < fixed < np.inf:
        raise ValueError(f"fixed must be a positive number, but is {fixed!r}")
    if points < 2:
        raise ValueError(f"points must be at least 2, but is {points!r}")
    rows = {f: own if len(own := models[models["family"] == f]) else models for f in families}
    if span is None:
        known = pd.concat(rows.values())[along]
        span = known.min() / 2, known.max() * 2
    if not (len(span) == 2 and 0 < span[0] < span[1] < np.inf):
        raise ValueError(
            f"span must be two positive counts of {along}, the smaller one first, but is {span!r}"
        )
    at, pieces = np.geomspace(*span, points), []
    for family, own in rows.items():
        same = _own(own, along) if fixed is None else fixed
        params, tokens = {
            "params": (at, same),
            "tokens": (same, at),
            "flops": params_and_tokens(at, same),
        }[along]
        pieces.append(pd.DataFrame({"family": family, "params": params, "tokens": tokens}))
    grid = pd.concat(pieces, ignore_index=True)
    grid.insert(1, "model", new_names(models, len(grid)))
    return grid.assign(flops=training_flops(grid["params"], grid["tokens"]))


def _own(models: pd.DataFrame, along: Along) -> float:
    """Default of the fixed quantity along a curve of these models."""
    known = models.dropna(subset="tokens")
    largest = (known if len(known) else models).sort_values(["params", "tokens"]).iloc[-1]
    params, tokens = float(largest["params"]), float(largest["tokens"])
    ratio = tokens / params if len(known) else TOKENS_PER_PARAM
    return {"params": tokens, "tokens": params, "flops": ratio}[along]


def chosen_labels(fit: Fit, column: str, on: str | Sequence[str] | None) -> list[str]:
    """The chosen benchmarks, or domains; all by default."""
    known = fit.design.labels(column)
    chosen = list(known) if on is None else [on] if isinstance(on, str) else list(on)
    if unknown := [name for name in chosen if name not in known]:
        raise ValueError(
            f"the fit has no {column} {unknown[0]!r}, it has {quoted(known) or 'none at all'}"
            f"{suggestion(unknown[0], known)}"
        )
    return chosen
