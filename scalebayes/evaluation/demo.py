"""The demonstrations: large models, held out, predicted from smaller ones and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalebayes.data.folds import hidden
from scalebayes.datasets import olmo_ladder, open_llm
from scalebayes.laws.ladder import Ladder
from scalebayes.laws.sloth import Sloth
from scalebayes.prediction.designs import CELL
from scalebayes.prediction.predictive import predict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit
    from scalebayes.model.law import Law
    from scalebayes.prediction.designs import Quantity

FAMILIES = (
    "bloom",
    "qwen2",
    "llama-3.1",
    "llama-2",
    "qwen",
    "smollm",
    "falcon",
    "yi-1.5",
    "gemma-2",
    "cerebras-gpt",
)
"""The general-purpose families of one name with the widest gap below their largest model.

Each has at least three models, the largest at least 2.4 times as large as the next: 25 times for
bloom, down to 2.5 times for cerebras-gpt.
"""

BENCHMARKS = ("mmlu", "arc_challenge", "hellaswag", "winogrande", "gsm8k", "humaneval")
"""The benchmarks on which nearly every model of the bundled table has a score.

Six others were run for half of the models only. The last, truthfulqa, is no test of a law that
rises with size: among small models its score falls.
"""

LARGE_RUNS = ("7b-4t", "13b-5t")
"""The runs that the authors of the OLMo ladder predicted from its sixteen small ones."""

PROB = (0.5, 0.9)


def task(name: str) -> tuple[Law, Observations, list[str]]:
    """What a demonstration fits: the law, the observations and the models to hold out.

    Args:
        name: `sloth`, or `ladder`.

    Raises:
        ValueError: If there is no demonstration of that name.
    """
    if name == "sloth":
        return Sloth(), (table := observations()), largest(table)
    if name == "ladder":
        return Ladder(feature="c4"), olmo_ladder(), list(LARGE_RUNS)
    raise ValueError(f"there are demonstrations of sloth and ladder, but not of {name!r}")


def observations() -> Observations:
    """The part of the bundled table that the demonstration fits."""
    return open_llm().only(benchmarks=BENCHMARKS)


def largest(table: Observations, families: Sequence[str] = FAMILIES) -> list[str]:
    """Name of the model with the most parameters in each family."""
    by_size = table.models.sort_values("params").groupby("family")["model"].last()
    return [str(by_size[family]) for family in families]


def held_out(fit: Fit, *, of: Quantity | None = None, seed: int = 0) -> pd.DataFrame:
    """Predict what a fit was not shown, beside what was observed.

    Args:
        fit: A fit with models, or single scores, held out.
        of: `score`, or `loss` of a law that has losses; by default scores where the fit has any.
        seed: Seed of the predictive draws.

    Returns:
        The table of `predict` for the models of which something is held out, without what the fit has
        seen, with the columns observed (NaN where none is known), inside_50 and inside_90.

    Raises:
        ValueError: If the fit holds nothing out.
    """
    if not fit.held_out:
        raise ValueError("the fit has seen all that it was given: fit with hold_out")
    of = of or ("score" if fit.design.labels("benchmark") else "loss")
    models = dict.fromkeys(h if isinstance(h, str) else h[0] for h in fit.held_out)
    own = fit.observations.only(models=models)
    table = predict(fit, own, of=of, prob=PROB, seed=seed)
    rows = own.scores if of == "score" else own.losses
    at = pd.MultiIndex.from_frame(table[CELL[of]])
    table.insert(4, "observed", rows.set_index(CELL[of])[of].reindex(at).to_numpy())
    seen = pd.MultiIndex.from_frame(rows[~hidden(rows, fit.held_out)][CELL[of]])
    table = table[~at.isin(seen)].reset_index(drop=True)
    for p in PROB:
        name = f"{100 * p:g}"
        table[f"inside_{name}"] = table["observed"].between(
            table[f"lower_{name}"], table[f"upper_{name}"]
        )
    return table


def accuracy(table: pd.DataFrame) -> dict[str, Any]:
    """Share of the scores of `held_out` inside the intervals, and mean error of the median."""
    scored = table[table["observed"].notna()]
    return {
        "models": int(scored["model"].nunique()),
        "scores": len(scored),
        "coverage_50": float(scored["inside_50"].mean()),
        "coverage_90": float(scored["inside_90"].mean()),
        "mean_absolute_error": float(np.abs(scored["median"] - scored["observed"]).mean()),
    }
