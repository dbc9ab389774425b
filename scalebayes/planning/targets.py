"""Probabilities that planned models reach target scores, and that one model scores higher than another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalebayes.data.compute import training_flops
from scalebayes.data.observations import Observations
from scalebayes.data.schema import quoted
from scalebayes.inference.posterior import Fitted
from scalebayes.planning.candidates import MAX_DRAWS, planned_models
from scalebayes.prediction.designs import design_of_models, observations_of
from scalebayes.prediction.new_levels import check_known
from scalebayes.prediction.pointwise import at_cells
from scalebayes.prediction.predictive import predictive_draws
from scalebayes.prediction.ranges import outside_seen
from scalebayes.prediction.reliability import checked, warn_if_far

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.prediction.predictive import Kind

ALL = "all"
"""Name of the row on all benchmarks together."""


@checked
def target_probability(
    fit: Fitted,
    models: pd.DataFrame | Observations,
    targets: Mapping[str, float],
    *,
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Probability that planned models reach each target score, and all of them at once.

    Prediction errors of one model are correlated over benchmarks, so the probability of reaching all targets is
    not the product of the single ones.

    Args:
        fit: The fit, or an average of fits.
        models: The planned models, as `predict` takes them.
        targets: Benchmark -> target score in (0, 1].
        kind: `score` for a measured score, with evaluation noise, or `mean` for the expected score.
        new_families: As in `predict`.
        seed: Seed of the predictive draws.

    Returns:
        One row per model and target: model, family, benchmark, target, probability, and flops_past and
        ratio_outside as in `predict`. The last row of each model has the benchmark `all`, a target NaN, and the
        probability that all targets are reached.

    Warns:
        ExtrapolationWarning: As for `predict`.

    Raises:
        ValueError: If a benchmark is unknown, a target is not in (0, 1], or as for `predict`.

    Example:
        >>> import pandas as pd
        >>> models = pd.DataFrame({"model": ["f0-70b"], "family": "f0", "params": 70e9, "tokens": 2e12})
        >>> table = sb.target_probability(fit, models, {"mmlu": 0.7, "arc": 0.6})
        >>> table["benchmark"].tolist()
        ['mmlu', 'arc', 'all']
        >>> bool(table["probability"].iloc[2] <= table["probability"].min() + 1e-9)
        True
    """
    inputs = observations_of(fit, models)
    each = _probabilities(fit, inputs, targets, kind, new_families, seed)
    warn_if_far(fit, inputs.models)
    names = [*targets, ALL]
    table = pd.DataFrame(
        {
            "model": np.repeat(inputs.models["model"].to_numpy(), len(names)),
            "family": np.repeat(inputs.models["family"].to_numpy(), len(names)),
            "benchmark": np.tile(names, len(each)),
            "target": np.tile([*targets.values(), np.nan], len(each)),
            "probability": each.ravel(),
        }
    )
    return table.join(outside_seen(fit, inputs.models.set_index("model")), on="model")


@checked
def target_map(
    fit: Fitted,
    family: str,
    targets: Mapping[str, float],
    *,
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    covariates: Mapping[str, float | str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Probability that a model of a family reaches all targets, on a grid of sizes and token counts.

    Args:
        fit: The fit, or an average of fits.
        family: The family, known or new.
        targets: Benchmark -> target score in (0, 1].
        params: Sizes N, counts, shape (size,).
        tokens: Training tokens D, counts, shape (token_count,).
        kind: As in `target_probability`.
        new_families: As in `predict`.
        covariates: Covariates of the model, by name; by default those of the family's largest model.
        seed: Seed of the predictive draws.

    Returns:
        One row per size and token count: params, tokens, flops, probability, and flops_past and ratio_outside as
        in `predict`. `attrs["draws"]` is the number of posterior draws.

    Warns:
        ExtrapolationWarning: As for `predict`, of the worst point of the grid.

    Raises:
        ValueError: As for `target_probability`.

    Example:
        >>> grid = sb.target_map(fit, "f0", {"mmlu": 0.7}, params=[7e9, 70e9], tokens=[1e12, 2e12])
        >>> grid[["params", "tokens"]].to_numpy().tolist()[1]
        [7000000000.0, 2000000000000.0]
        >>> ax = sb.plots.target_map(grid)  # doctest: +SKIP
    """
    n, d = (v.ravel() for v in np.meshgrid(np.asarray(params), np.asarray(tokens), indexing="ij"))
    fit = fit.thinned(MAX_DRAWS)
    probability = joint_probability(
        fit, family, targets, n, d, kind, new_families, seed, covariates
    )
    table = pd.DataFrame({"params": n, "tokens": d, "flops": training_flops(n, d)})
    warn_if_far(fit, table)
    table = table.assign(probability=probability).join(outside_seen(fit, table))
    table.attrs["draws"] = fit.n_draws
    return table


@checked
def beats(
    fit: Fitted,
    models: pd.DataFrame | Observations,
    *,
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Probability that one model scores higher than another, for each pair of models.

    Both scores are drawn jointly, so the shared uncertainty of the law cancels. A tie counts one half.

    Args:
        fit: The fit, or an average of fits.
        models: At least two models, known or planned, as `predict` takes them.
        kind: As in `predict`.
        new_families: As in `predict`.
        seed: Seed of the predictive draws.

    Returns:
        One row per pair and benchmark: model, rival, benchmark, probability that the model scores higher than the
        rival, and the median (difference) and 90% interval (lower_90, upper_90) of the difference of their scores.
        The last row of each pair has the benchmark `all`, the mean over benchmarks.

    Warns:
        ExtrapolationWarning: As for `predict`.

    Raises:
        ValueError: If there are fewer than two models, or as for `predict`.

    Example:
        >>> import pandas as pd
        >>> models = pd.DataFrame(
        ...     {"model": ["a", "b"], "family": ["f0", "f1"], "params": [70e9, 30e9], "tokens": 2e12}
        ... )
        >>> table = sb.beats(fit, models)
        >>> table[["model", "rival", "benchmark"]].to_numpy().tolist()[-1]
        ['a', 'b', 'all']
    """
    models = observations_of(fit, models)
    draws = predictive_draws(fit, models, kind=kind, new_families=new_families, seed=seed)["score"]
    warn_if_far(fit, models.models)
    names = [str(m) for m in draws["model"].values]
    if len(names) < 2:
        raise ValueError(
            f"a comparison needs at least two models, got {quoted(names)}: add another"
        )
    labels = [*draws["benchmark"].values, ALL]
    values = draws.to_numpy().reshape(-1, len(names), len(labels) - 1)
    values = np.concatenate([values, values.mean(axis=2, keepdims=True)], axis=2)
    rows = []
    for i, model in enumerate(names):
        for j in range(i + 1, len(names)):
            gap = values[:, i] - values[:, j]
            won = (gap > 0).mean(axis=0) + (gap == 0).mean(axis=0) / 2
            low, high = np.quantile(gap, [0.05, 0.95], axis=0)
            rows += list(
                zip(
                    [model] * len(labels), [names[j]] * len(labels), labels, won, np.median(gap, axis=0), low, high,
                    strict=True,
                )
            )  # fmt: skip
    columns = ["model", "rival", "benchmark", "probability", "difference", "lower_90", "upper_90"]
    return pd.DataFrame(rows, columns=columns)


def joint_probability(
    fit: Fitted,
    family: str,
    targets: Mapping[str, float],
    params: np.ndarray,
    tokens: np.ndarray,
    kind: Kind,
    new_families: Sequence[str],
    seed: int,
    covariates: Mapping[str, float | str] | None = None,
) -> np.ndarray:
    """Probability that models of a family reach all targets, shape (model,)."""
    models = planned_models(fit, family, params, tokens, covariates)
    return _probabilities(fit, models, targets, kind, new_families, seed)[:, -1]


def _probabilities(
    fit: Fitted,
    models: Observations,
    targets: Mapping[str, float],
    kind: Kind,
    new_families: Sequence[str],
    seed: int,
) -> np.ndarray:
    """Probability of reaching each target and all of them, shape (model, target + 1).

    The probability given a posterior draw, and given the error that scores of one model share, has a closed form.
    It is averaged over these draws.
    """
    if kind not in ("score", "mean"):
        raise ValueError(f"kind must be 'score' or 'mean', but is {kind!r}")
    total = np.zeros((len(models.models), len(targets) + 1))
    for _, part, weight in fit.parts:
        at = _positions(part, targets)
        design = design_of_models(part, models, new_families)
        n_benchmark = len(design.labels("benchmark"))
        level = np.full(n_benchmark, np.nan)
        level[at] = list(targets.values())
        tiled = np.tile(level, len(models.models))
        shape = -1, len(models.models), n_benchmark
        if kind == "score":
            found = at_cells(part, design, seed, level=tiled)
            each, together = found["above"].reshape(shape)[..., at], found["all_above"]
        else:
            found = at_cells(part, design, seed, typical=True)
            each = (found["score"]["mean"] >= tiled).reshape(shape)[..., at]
            together = each.all(axis=-1)
        total[:, :-1] += weight * each.mean(axis=0)
        total[:, -1] += weight * together.reshape(-1, len(models.models)).mean(axis=0)
    return total


def _positions(fit: Fit, targets: Mapping[str, float]) -> list[int]:
    known = fit.design.labels("benchmark")
    if not targets:
        raise ValueError(
            f"name at least one target, such as {{{known[0]!r}: 0.7}}"
            if known
            else "the fit has no scores"
        )
    check_known("benchmark", targets, known)
    for name, target in targets.items():
        if not 0 < target <= 1:
            remedy = ": it looks like a percentage, divide by 100" if 1 < target <= 100 else ""
            raise ValueError(f"the target of {name} must lie in (0, 1], but is {target:g}{remedy}")
    return [known.index(name) for name in targets]
