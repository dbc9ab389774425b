"""The verb `demo`: large models, held out, predicted from smaller ones and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalebayes.cli.common import (
    Chains,
    Draws,
    Json,
    Seed,
    Warmup,
    judged,
    print_answer,
    print_held_out,
    shows_progress,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scalebayes.data.observations import Observations
    from scalebayes.model.law import Law

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

DEMO_DRAWS = 1000
DEMO_WARMUP = 500
DEMO_CHAINS = 2


def demo(
    law: Annotated[
        str,
        typer.Option(
            help="sloth: the largest model of ten families; ladder: two runs from sixteen small ones."
        ),
    ] = "sloth",
    seed: Seed = 0,
    draws: Draws = DEMO_DRAWS,
    warmup: Warmup = DEMO_WARMUP,
    chains: Chains = DEMO_CHAINS,
    out: Annotated[Path, typer.Option(help="Folder for the picture and the table.")] = Path(
        "out/demo"
    ),
    json: Json = False,
) -> None:
    """Predict the largest models of a bundled table from the rest.

    Fits the table without these models, prints a 90% interval beside each of their scores and the
    share of scores inside, and draws the picture.

    \b
    Example:
      scalebayes demo --out out/demo
      scalebayes demo --law ladder
    """
    import scalebayes as sb
    from scalebayes.evaluation import scoring
    from scalebayes.report.summary import headline, verdict

    made, observations, hold_out = task(law)
    out.mkdir(parents=True, exist_ok=True)
    typer.echo(
        f"fitting {observations}, {len(hold_out)} models held out (a minute or two on two cores)",
        err=True,
    )
    fit = sb.fit(
        made, observations, seed=seed, sampler=sb.Nuts(draws=draws, warmup=warmup, chains=chains),
        hold_out=hold_out, progress=shows_progress(json),
    )  # fmt: skip
    table = judged(sb.held_out(fit, seed=seed))
    files = {"table": out / "predictions.csv", "picture": out / "intervals.png"}
    table.to_csv(files["table"], index=False)
    _picture(table, files["picture"])
    if json:
        found = scoring.figures(table).iloc[0]
        print_answer(
            fit,
            {
                "predictions": table,
                "models": int(found["models"]),
                "scores": len(table),
                "coverage_50": found["coverage_50"],
                "coverage_90": found["coverage_90"],
                "mean_absolute_error": found["error"] / scoring.unit(table),
                "verdict": verdict(fit),
                "seconds": fit.provenance["seconds"],
                "files": {k: str(v) for k, v in files.items()},
            },
        )
        return
    print_held_out(table)
    print(headline(fit))
    print(f"\npicture: {files['picture']}\ntable:   {files['table']}")


def task(name: str) -> tuple[Law, Observations, list[str]]:
    """Law, observations and models to hold out of a demonstration.

    Args:
        name: `sloth`, or `ladder`.

    Raises:
        ValueError: If there is no demonstration of that name.
    """
    from scalebayes.datasets import olmo_ladder
    from scalebayes.laws.ladder import Ladder
    from scalebayes.laws.sloth import Sloth

    if name == "sloth":
        return Sloth(), (table := observations()), largest(table)
    if name == "ladder":
        return Ladder(feature="c4"), olmo_ladder(), list(LARGE_RUNS)
    raise ValueError(f"there are demonstrations of sloth and ladder, but not of {name!r}")


def observations() -> Observations:
    """The part of the bundled table that the demonstration fits."""
    from scalebayes.datasets import open_llm

    return open_llm().only(benchmarks=BENCHMARKS)


def largest(table: Observations, families: Sequence[str] = FAMILIES) -> list[str]:
    """Name of the model with the most parameters in each family."""
    by_size = table.models.sort_values("params").groupby("family")["model"].last()
    return [str(by_size[family]) for family in families]


def _picture(table: pd.DataFrame, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from scalebayes.plots import interval_panels

    interval_panels(table).savefig(path, dpi=110)
