"""Questions asked before training: will a model reach its targets, which budget does, and which model wins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import logit

from scalebayes.levels import new_names
from scalebayes.observations import Observations
from scalebayes.posterior import Average, Fit, thinned
from scalebayes.prediction import at_cells, design_of_models, predictive_draws
from scalebayes.rules import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.prediction import Kind

DRAWS = 1000
"""Posterior draws by which many models are judged at once."""

BUDGETS, RATIOS = 25, 13
"""Budgets and tokens per parameter that a search looks at, twice: over the range, and around the answer."""

FARTHEST = 1000.0
"""Budgets are sought up to this multiple of the largest that the fit has seen: no law is known farther."""

ALL = "all"
"""Name of the row that is about all benchmarks at once."""


def target_probability(
    fit: Fit | Average,
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
    inputs = models if isinstance(models, Observations) else Observations(models)
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
    fit: Fit | Average,
    family: str,
    targets: Mapping[str, float],
    *,
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    kind: Kind = "score",
    new_families: Sequence[str] = (),
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
        seed: Seed of what is drawn.

    Returns:
        One row a size and token count: params, tokens, flops, probability; `attrs["draws"]` is the number of
        posterior draws behind it.

    Raises:
        ValueError: As for `target_probability`.
    """
    n, d = (v.ravel() for v in np.meshgrid(np.asarray(params), np.asarray(tokens), indexing="ij"))
    fit = thin(fit)
    probability = _reached(fit, family, targets, n, d, kind, new_families, seed)
    table = pd.DataFrame({"params": n, "tokens": d, "flops": 6 * n * d, "probability": probability})
    sizes = [part.tree["posterior"].sizes for part, _ in parts(fit)]
    table.attrs["draws"] = sum(s["chain"] * s["draw"] for s in sizes)
    return table


@dataclass(frozen=True)
class Budget:
    """The smallest budget that reaches targets.

    Attributes:
        flops: Training FLOPs, 6 N D.
        params: N of the model that reaches the targets with them.
        tokens: D of that model.
        probability: The probability that was asked for.
        at_edge: Whether that model's tokens per parameter are at an end of the range, beyond which a smaller budget
            may do.
        frontier: One row a budget: flops, and params, tokens and probability of the model most likely to
            reach the targets.
    """

    flops: float
    params: float
    tokens: float
    probability: float
    at_edge: bool
    frontier: pd.DataFrame = field(repr=False)

    def __str__(self) -> str:
        """One line: the budget, and the model to spend it on."""
        edge = ", at an end of the range" if self.at_edge else ""
        return (
            f"{self.flops:.3g} FLOPs: {self.params:.3g} parameters on {self.tokens:.3g} tokens, "
            f"{self.tokens / self.params:.3g} per parameter{edge}"
        )


def smallest_budget(
    fit: Fit | Average,
    family: str,
    targets: Mapping[str, float],
    *,
    probability: float = 0.8,
    flops: tuple[float, float] | None = None,
    tokens_per_param: tuple[float, float] | None = None,
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> Budget:
    """Find the smallest budget with which a family's model reaches all targets with a probability.

    Args:
        fit: The fit, or an average of fits.
        family: The family, known or new.
        targets: Benchmark -> score in (0, 1] to be reached.
        probability: How sure one wants to be, in (0, 1).
        flops: Smallest and largest budget to consider; by default from the smallest that the fit has seen to
            `FARTHEST` times the largest.
        tokens_per_param: Smallest and largest D / N to consider; by default those that the fit has seen.
        kind: As in `target_probability`.
        new_families: As in `predict`.
        seed: Seed of what is drawn.

    Raises:
        ValueError: If no budget in the range will do, the smallest does already, or as for `target_probability`.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability must lie between 0 and 1, but is {probability!r}")
    low, high = of_range("flops", flops, seen_flops(fit), FARTHEST)
    first, last = of_range("tokens_per_param", tokens_per_param, seen_ratios(fit))
    fit = thin(fit)

    def look(budgets: np.ndarray, ratios: np.ndarray) -> pd.DataFrame:
        """The models most likely to reach the targets, one a budget."""
        c, r = (v.ravel() for v in np.meshgrid(budgets, ratios, indexing="ij"))
        n = np.sqrt(c / (6 * r))
        found = _reached(fit, family, targets, n, r * n, kind, new_families, seed)
        of_budget = found.reshape(len(budgets), len(ratios))
        rows = of_budget.argmax(axis=1) + len(ratios) * np.arange(len(budgets))
        models = pd.DataFrame({"flops": c, "params": n, "tokens": r * n, "probability": found})
        return models.loc[rows].reset_index(drop=True)

    budgets, ratios = np.geomspace(low, high, BUDGETS), np.geomspace(first, last, RATIOS)
    frontier = look(budgets, ratios)
    reached = frontier["probability"].to_numpy()
    wanted = ", ".join(f"{k} >= {v:g}" for k, v in targets.items())
    if not (reached >= probability).any():
        raise ValueError(
            f"no budget up to {high:.2g} FLOPs reaches {wanted} with probability {probability:g}; "
            f"the highest is {reached.max():.2f} at {budgets[reached.argmax()]:.2g}: ask for less, "
            "or give a wider range with flops"
        )
    i = int((reached >= probability).argmax())
    if i == 0:
        raise ValueError(
            f"{low:.2g} FLOPs, the smallest budget considered, reach {wanted} with probability "
            f"{reached[0]:.2f} already: give a lower range with flops"
        )
    step, ratio = ratios[1] / ratios[0], frontier["tokens"][i] / frontier["params"][i]
    finer = np.geomspace(max(ratio / step, first), min(ratio * step, last), RATIOS)
    near = look(np.geomspace(budgets[i - 1], budgets[i], BUDGETS), finer)
    # between budgets as near as these the log odds are a line in log C
    odds = logit(np.clip(near["probability"].to_numpy(), 1e-6, 1 - 1e-6))
    rising = np.maximum.accumulate(odds)
    c = float(np.exp(np.interp(logit(probability), rising, np.log(near["flops"]))))
    r = float(np.interp(c, near["flops"], near["tokens"] / near["params"]))
    n = float(np.sqrt(c / (6 * r)))
    step = finer[1] / finer[0]  # between two budgets, of which one has its best model at the end
    at_edge = bool(r < first * step or r > last / step)
    both = pd.concat([frontier, near]).sort_values("flops", ignore_index=True)
    return Budget(c, n, r * n, probability, at_edge, both)


def beats(
    fit: Fit | Average,
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


def planned(
    fit: Fit | Average, family: str, params: np.ndarray, tokens: np.ndarray
) -> pd.DataFrame:
    """A table of models that a family may train, under names that no fit knows."""
    names = new_names(parts(fit)[0][0].observations.models, len(params))
    return pd.DataFrame({"model": names, "family": family, "params": params, "tokens": tokens})


def parts(fit: Fit | Average) -> list[tuple[Fit, float]]:
    """A fit, or those of an average, each with its weight."""
    if isinstance(fit, Average):
        return [(part, fit.weights[name]) for name, part in fit.fits.items()]
    return [(fit, 1.0)]


def seen_flops(fit: Fit | Average) -> tuple[float, float]:
    """Smallest and largest training FLOPs of models that a fit has seen."""
    flops = _seen_models(fit)["flops"].dropna()
    return (flops.min(), flops.max()) if len(flops) else (np.nan, np.nan)


def seen_ratios(fit: Fit | Average) -> tuple[float, float]:
    """Smallest and largest tokens per parameter of models that a fit has seen."""
    models = _seen_models(fit)
    ratio = (models["tokens"] / models["params"]).dropna()
    return (ratio.min(), ratio.max()) if len(ratio) else (np.nan, np.nan)


def _seen_models(fit: Fit | Average) -> pd.DataFrame:
    own = parts(fit)[0][0]
    data = own.observations
    seen = {*data.scores["model"][own.seen], *data.losses["model"][own.losses_seen]}
    return data.models[data.models["model"].isin(seen)]


def of_range(
    name: str,
    given: tuple[float, float] | None,
    seen: tuple[float, float],
    beyond: float = 1.0,
) -> tuple[float, float]:
    """The ends of a range: those seen, times `beyond` above, unless it is given."""
    low, high = given if given is not None else (seen[0], seen[1] * beyond)
    if given is None and not low < high:
        raise ValueError(
            f"the fit has seen no range of {name} to consider: give {name}=(low, high)"
        )
    if not 0 < low < high < np.inf:
        raise ValueError(
            f"{name} must be two positive numbers, the smaller first, but is {given!r}"
        )
    return float(low), float(high)


def thin(fit: Fit | Average) -> Fit | Average:
    """A fit, or an average, with at most `DRAWS` draws of each law."""
    if isinstance(fit, Average):
        return Average({k: thinned(part, DRAWS) for k, part in fit.fits.items()}, fit.weights)
    return thinned(fit, DRAWS)


def _reached(
    fit: Fit | Average,
    family: str,
    targets: Mapping[str, float],
    params: np.ndarray,
    tokens: np.ndarray,
    kind: Kind,
    new_families: Sequence[str],
    seed: int,
) -> np.ndarray:
    """Probability of reaching all targets, shape (model,)."""
    models = Observations(planned(fit, family, params, tokens))
    return _probabilities(fit, models, targets, kind, new_families, seed)[:, -1]


def _probabilities(
    fit: Fit | Average,
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
    for part, weight in parts(fit):
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
    if unknown := [name for name in targets if name not in known]:
        raise ValueError(f"the fit has no benchmark {quoted(unknown)}, it has {quoted(known)}")
    for name, target in targets.items():
        if not 0 < target <= 1:
            remedy = ": it looks like a percentage, divide by 100" if 1 < target <= 100 else ""
            raise ValueError(f"the target of {name} must lie in (0, 1], but is {target:g}{remedy}")
    return [known.index(name) for name in targets]
