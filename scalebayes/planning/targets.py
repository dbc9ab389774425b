"""Questions asked before training: will a model reach its targets, and which of two models wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalebayes.data.compute import training_flops
from scalebayes.data.observations import Observations
from scalebayes.data.schema import quoted
from scalebayes.inference.posterior import Fitted
from scalebayes.planning.candidates import MAX_DRAWS, planned
from scalebayes.prediction.designs import design_of_models, observations_of
from scalebayes.prediction.new_levels import check_known
from scalebayes.prediction.pointwise import at_cells
from scalebayes.prediction.predictive import predictive_draws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.prediction.predictive import Kind

ALL = "all"
"""Name of the row that is about all benchmarks at once."""


def target_probability(
    fit: Fitted,
    models: pd.DataFrame | Observations,
    targets: Mapping[str, float],
    *,
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Probability that planned models reach their targets, each on its own and all at once.

    Scores of one model err together, so that the probability of all targets is not the product of the others.

    Args:
        fit: The fit, or an average of fits.
        models: The planned models, as `predict` takes them.
        targets: Benchmark -> score in (0, 1] to be reached.
        kind: `score`, the score that an evaluation will show, or `mean`, what the law expects.
        new_families: As in `predict`.
        seed: Seed of what is drawn.

    Returns:
        One row a model and target: model, family, benchmark, target, probability; and for each model a
        row `all` (its target is NaN) with the probability that all are reached.

    Raises:
        ValueError: If a benchmark is unknown, a target is no score, or as for `predict`.
    """
    inputs = observations_of(fit, models)
    each = _probabilities(fit, inputs, targets, kind, new_families, seed)
    names = [*targets, ALL]
    return pd.DataFrame(
        {
            "model": np.repeat(inputs.models["model"].to_numpy(), len(names)),
            "family": np.repeat(inputs.models["family"].to_numpy(), len(names)),
            "benchmark": np.tile(names, len(each)),
            "target": np.tile([*targets.values(), np.nan], len(each)),
            "probability": each.ravel(),
        }
    )


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
    """Probability that a family's model reaches all targets, at each size and token count.

    Args:
        fit: The fit, or an average of fits.
        family: The family, known or new.
        targets: Benchmark -> score in (0, 1] to be reached.
        params: Sizes N, counts.
        tokens: Token counts D.
        kind: As in `target_probability`.
        new_families: As in `predict`.
        covariates: Covariates of the model, by name; those left out are those of the family's largest model.
        seed: Seed of what is drawn.

    Returns:
        One row a size and token count: params, tokens, flops, probability; `attrs["draws"]` is the number of
        posterior draws behind it.

    Raises:
        ValueError: As for `target_probability`.
    """
    n, d = (v.ravel() for v in np.meshgrid(np.asarray(params), np.asarray(tokens), indexing="ij"))
    fit = fit.thinned(MAX_DRAWS)
    probability = reached(fit, family, targets, n, d, kind, new_families, seed, covariates)
    table = pd.DataFrame({"params": n, "tokens": d, "flops": training_flops(n, d)}).assign(
        probability=probability
    )
    table.attrs["draws"] = fit.n_draws
    return table


def beats(
    fit: Fitted,
    models: pd.DataFrame | Observations,
    *,
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Probability that one model scores higher than another, for each pair in the order given.

    Args:
        fit: The fit, or an average of fits.
        models: The models, as `predict` takes them, known ones and planned ones.
        kind: As in `predict`.
        new_families: As in `predict`.
        seed: Seed of the draws.

    Returns:
        One row a pair and benchmark: model, rival, benchmark, probability that the model beats the rival, and
        difference, lower_90 and upper_90 of the score; and for each pair a row `all`, of the mean over benchmarks.

    Raises:
        ValueError: If there are fewer than two models, or as for `predict`.
    """
    draws = predictive_draws(fit, models, kind=kind, new_families=new_families, seed=seed)["score"]
    names = [str(m) for m in draws["model"].values]
    if len(names) < 2:
        raise ValueError(f"a contest needs at least two models, got {quoted(names)}")
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


def reached(
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
    """Probability of reaching all targets, shape (model,)."""
    models = planned(fit, family, params, tokens, covariates)
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

    Given a draw of the parameters, and of what the scores of a model share, the probability is known; only
    over these draws is it averaged.
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
