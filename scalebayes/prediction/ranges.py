"""How far models lie outside the range that a fit has seen, and when that is too far to act on.

Distances are in training FLOPs and in tokens per parameter. The loss is left out: that of a planned model is itself
predicted from its size and tokens, so that it can be no further out than they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from scalebayes.inference.posterior import Fitted

MAX_FLOPS_PAST = 1.5
"""Decades of training FLOPs past the largest seen model beyond which a prediction warns.

Held-out predictions are counted by this distance up to here; beyond, too few models have been held out.
"""

MAX_RATIO_OUTSIDE = 1.0
"""Decades of tokens per parameter outside the seen range beyond which a prediction warns.

A family that grows by a decade of parameters at its token count comes that far. It is less than for FLOPs: tables hold
few ratios, so that little tests predictions at others.
"""

RANGE_COLUMNS = ["flops_past", "ratio_outside"]
"""Columns of `outside_seen`, in tables of predictions too."""


def seen_flops(fit: Fitted) -> tuple[float, float]:
    """Smallest and largest training FLOPs of the models in a fit; NaN if none is known."""
    return _ends(fit.seen_models["flops"])


def seen_ratios(fit: Fitted) -> tuple[float, float]:
    """Smallest and largest tokens per parameter of the models in a fit; NaN if none is known."""
    return _ends(fit.seen_models["tokens"] / fit.seen_models["params"])


def decades_past(models: pd.DataFrame, seen: pd.DataFrame) -> np.ndarray:
    """Decades of training FLOPs past the largest of some seen models, negative below it, shape (model,).

    Where FLOPs are unknown, decades of parameters: as if trained on as many tokens as the largest seen model.

    Args:
        models: Rows of a table of models: params and flops.
        seen: The seen models, with the same columns.
    """
    flops, params = (
        np.log10(models[column].to_numpy(float)) - np.log10(seen[column].max())
        for column in ("flops", "params")
    )
    return np.where(np.isnan(flops), params, flops)


def outside_seen(fit: Fitted, models: pd.DataFrame) -> pd.DataFrame:
    """How far each model lies outside the range of the models that a fit has seen.

    Args:
        fit: The fit, or an average of fits.
        models: Rows of a table of models: params, tokens and flops, counts; NaN where unknown.

    Returns:
        One row per model, with the index of `models`: flops_past, decades of training FLOPs past the largest seen
        model, at most 0 inside (decades of parameters where FLOPs are unknown); and ratio_outside, decades of
        tokens per parameter outside the seen range, 0 inside, negative below, positive above, NaN if unknown.
    """
    ratio = np.log10(models["tokens"].to_numpy(float) / models["params"].to_numpy(float))
    low, high = np.log10(seen_ratios(fit))
    outside = np.maximum(ratio - high, 0.0) + np.minimum(ratio - low, 0.0)
    columns = decades_past(models, fit.seen_models), outside
    return pd.DataFrame(dict(zip(RANGE_COLUMNS, columns, strict=True)), models.index)


def far_outside(fit: Fitted, models: pd.DataFrame) -> list[str]:
    """Sentences on models too far outside the seen range to act on, each on the worst; empty if there are none.

    Args:
        fit: The fit, or an average of fits.
        models: As for `outside_seen`, and optionally their names, model.
    """
    found = outside_seen(fit, models)
    told = []
    past = found["flops_past"].to_numpy()
    if (n := int((past > MAX_FLOPS_PAST).sum())) > 0:
        worst = int(np.nanargmax(past))
        known = pd.notna(models["flops"].iloc[worst]) and pd.notna(seen_flops(fit)[1])
        told.append(
            f"{_named(models, worst)} lies {past[worst]:.1f} decades of "
            f"{'training FLOPs' if known else 'parameters'} past the largest model that the fit has seen"
            f"{_others(n)}: beyond {MAX_FLOPS_PAST:g} decades an interval rests on the form of the law alone. Do not "
            "act on it; fit larger models, or ask for smaller ones"
        )
    outside = np.abs(found["ratio_outside"].to_numpy())
    if (n := int((outside > MAX_RATIO_OUTSIDE).sum())) > 0:
        worst = int(np.nanargmax(outside))
        ratio = float(models["tokens"].iloc[worst] / models["params"].iloc[worst])
        low, high = seen_ratios(fit)
        factor = 10**MAX_RATIO_OUTSIDE
        asked = "model" in models  # not the answer of a search
        swapped = asked and ratio < low and low / factor <= 1 / ratio <= high * factor
        told.append(
            f"{_named(models, worst)} has {ratio:.3g} tokens per parameter, {outside[worst]:.1f} decades "
            f"{'below' if ratio < low else 'above'} the {low:.3g} to {high:.3g} that the fit has seen{_others(n)}"
            + (
                ": are params and tokens swapped?"
                if swapped
                else ": nothing seen tests a prediction there. Do not act on it; fit models of such a ratio, or "
                "ask for one nearer to those seen"
            )
        )
    return told


def _ends(values: pd.Series) -> tuple[float, float]:
    known = values.dropna()
    return (float(known.min()), float(known.max())) if len(known) else (np.nan, np.nan)


def _named(models: pd.DataFrame, row: int) -> str:
    model = models.iloc[row]
    tokens = "unknown" if pd.isna(model["tokens"]) else f"{model['tokens']:.3g}"
    size = f"{model['params']:.3g} parameters, {tokens} tokens"
    return f"{model['model']!r} ({size})" if "model" in models else f"a model ({size})"


def _others(n: int) -> str:
    return f" (as {'does' if n == 2 else 'do'} {n - 1} more)" if n > 1 else ""
