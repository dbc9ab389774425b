"""trajectory: what a fit expects along a curve through (N, D), and beside it what was measured.

References:
    Training compute-optimal large language models (6 N D; about 20 tokens per parameter),
    https://arxiv.org/abs/2203.15556
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from scalebayes.data.compute import params_and_tokens, training_flops
from scalebayes.data.observations import Observations
from scalebayes.data.schema import description_columns, quoted, suggestion
from scalebayes.inference.posterior import Fit, Fitted
from scalebayes.prediction.designs import CELL, covariates_of, design_of_models
from scalebayes.prediction.new_levels import new_names
from scalebayes.prediction.predictive import at_cells, predict, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.prediction.designs import Quantity
    from scalebayes.prediction.predictive import Kind

Along = Literal["params", "tokens", "flops"]

MOST = 3e7
"""Draws times cells of one call of `predict`, some 240 MB for each of its arrays."""

TOKENS_PER_PARAM = 20.0
"""Where a family's own are not known: about the compute-optimal ratio."""


class Steps(NamedTuple):
    """The two steps of a law of losses for one benchmark, and both in a row.

    Attributes:
        loss: Step 1, the loss along training compute: what `trajectory` gives.
        accuracy: Step 2, the score along the loss: family, benchmark, domain, loss, and then as `loss`.
        chained: The score along training compute: what `trajectory` gives.
        points: model, family, benchmark, domain, params, tokens, flops, loss, unit, score, held_out.
    """

    loss: pd.DataFrame
    accuracy: pd.DataFrame
    chained: pd.DataFrame
    points: pd.DataFrame


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
    """Predictive intervals of families along size, tokens or training compute.

    Each point is a model not yet trained, predicted as by `predict`; training FLOPs are 6 N D.

    Args:
        fit: The fit, or an average of fits.
        families: One family or several.
        along: What changes: `params`, at a fixed number of tokens; `tokens`, at a fixed number of
            parameters; or `flops`, at a fixed number of tokens per parameter.
        fixed: What stays the same, a count or tokens per parameter. By default that of each family's
            largest model whose tokens are known. Where no tokens of a family are known, they are
            averaged over along `params`, as `predict` does, and 20 per parameter along `flops`. A
            family that is not in the fit takes after all models that are.
        span: Both ends of the curve, counts. By default from half the smallest to twice the largest
            of the families' models.
        points: Number of points, evenly spaced in the logarithm.
        on: Benchmarks (domains for losses) to keep; by default all.
        of: `score`, or `loss` of a law that has losses.
        kind: As in `predict`: `score`, what a measurement will show, or `mean`, what the law expects.
        prob: Probabilities of the central intervals.
        new_families: As in `predict`.
        covariates: Covariates along the curves, by name; those left out are those of each family's largest model.
        seed: Seed of the predictive draws.

    Returns:
        One row a family, point and benchmark (or domain): family, params, tokens and flops (NaN where
        averaged over), benchmark, and then as in `predict`: kind, mean, median, sd, lower_p, upper_p.
        Its `attrs` tell the number of draws, and the kind.

    Raises:
        ValueError: As for `predict`, or if a benchmark is unknown, or a number is not positive.
    """
    families = [families] if isinstance(families, str) else list(dict.fromkeys(families))
    own, column = fit.parts[0].fit, CELL.get(of, CELL["score"])[1]
    chosen = _chosen(own, column, on)
    grid = _grid(own.observations.models, families, along, fixed, span, points)
    of_family = {f: covariates_of(fit, f, covariates) for f in families}
    names = list(next(iter(of_family.values())))
    for name in names:
        grid[name] = [of_family[f][name] for f in grid["family"]]
    declared = {name: own.observations.covariates[name] for name in names}
    n_draws = own.tree["posterior"].sizes["chain"] * own.tree["posterior"].sizes["draw"]
    n = max(1, int(MOST / (n_draws * points * len(own.design.labels(column)))))
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
    """What was measured of the models of a fit, held-out ones included.

    Args:
        fit: The fit, or an average of fits.
        of: `score`, or `loss`.

    Returns:
        One row a score (or loss): model, family, params, tokens, flops, benchmark, score and
        held_out (or domain, loss, unit and held_out).

    Raises:
        ValueError: If `of` is neither.
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
    """Loss along training compute, score along the loss, and both in a row.

    Step 2 is taken at given losses, as if a model with such a loss had been measured: of the law's
    uncertainty it has that of the second step alone.

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

    Raises:
        ValueError: If the law has no such steps, the benchmark is unknown, or as for `trajectory`.
    """
    drivers = fit.law.drivers(fit.design) if len(fit.parts) == 1 else None
    if drivers is None:
        laws = " and ".join(part.name for part in fit.parts)
        raise ValueError(
            "two_steps needs a fit of one law in which one loss drives each benchmark, such as Ladder or Flp, "
            f"but got one of {laws}: fit such a law, or draw trajectory()"
        )
    [benchmark] = _chosen(fit, "benchmark", benchmark)
    j = fit.design.labels("benchmark").index(benchmark)
    domain = fit.design.labels("domain")[drivers[j]]
    families = fit.observations.families if families is None else families

    def along_flops(of: Quantity, on: str) -> pd.DataFrame:
        return trajectory(
            fit, families, along="flops", fixed=fixed, span=span, points=points, on=on, of=of,
            kind=kind, prob=prob, seed=seed,
        )  # fmt: skip

    loss, chained = along_flops("loss", domain), along_flops("score", benchmark)
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
    """Draws of scores of models of a family and a loss, the same on all domains.

    Args:
        fit: A fit of a law whose second step sees losses only.
        rows: family and loss.
        kind: As in `predict`.
        seed: Seed of the draws.

    Returns:
        Shape (sample, row, benchmark).
    """
    n0, d0, _ = np.exp(fit.reference.middle)  # of no account where the loss is known
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
    """Scores on a benchmark and losses on a domain, side by side; NaN where one is missing."""
    scores, losses = measured(fit), measured(fit, of="loss")
    keys = description_columns(fit.observations.covariates)
    table = scores[scores["benchmark"] == benchmark].merge(
        losses[losses["domain"] == domain], "outer", on=keys, suffixes=("", "_loss")
    )
    hidden = table["held_out"].eq(True) | table.pop("held_out_loss").eq(True)
    return table.assign(benchmark=benchmark, domain=domain, held_out=hidden)


def _grid(
    models: pd.DataFrame,
    families: Sequence[str],
    along: Along,
    fixed: float | None,
    span: tuple[float, float] | None,
    points: int,
) -> pd.DataFrame:
    """Models to predict: family, model, params, tokens, flops; names are none of the fit's."""
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
    """What stays the same along a curve of these models."""
    known = models.dropna(subset="tokens")
    largest = (known if len(known) else models).sort_values(["params", "tokens"]).iloc[-1]
    params, tokens = float(largest["params"]), float(largest["tokens"])
    ratio = tokens / params if len(known) else TOKENS_PER_PARAM
    return {"params": tokens, "tokens": params, "flops": ratio}[along]


def _chosen(fit: Fit, column: str, on: str | Sequence[str] | None) -> list[str]:
    """Benchmarks, or domains, that are asked for."""
    known = fit.design.labels(column)
    chosen = list(known) if on is None else [on] if isinstance(on, str) else list(on)
    if unknown := [name for name in chosen if name not in known]:
        raise ValueError(
            f"the fit has no {column} {unknown[0]!r}, it has {quoted(known) or 'none at all'}"
            f"{suggestion(unknown[0], known)}"
        )
    return chosen
