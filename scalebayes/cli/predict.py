"""The verbs that print results of a fit: `predict`, `mixture`, `summary` and `skills`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scalebayes.cli.common import (
    Covariates,
    Csv,
    FamilyCovariates,
    Json,
    NewFamily,
    Saved,
    Seed,
    Units,
    note,
    print_answer,
    write_csv,
)

if TYPE_CHECKING:
    from scalebayes.prediction.designs import Quantity
    from scalebayes.prediction.predictive import Kind

MAX_ROWS_OF_SKILLS = 12
"""Largest number of models, or families, whose skills are printed; CSV and JSON hold all."""


def predict(
    fit: Saved,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="MODELS.csv",
            help="Models: columns model, family, params, tokens, and covariates; with columns source and "
            "weight, one row per share of a mixture.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of a single model.")] = None,
    family: Annotated[str | None, typer.Option(help="Its family.")] = None,
    params: Annotated[float | None, typer.Option(help="Its parameters, such as 70e9.")] = None,
    tokens: Annotated[
        float | None,
        typer.Option(
            help="Its training tokens, such as 15e12; if unknown, they are averaged over."
        ),
    ] = None,
    units: Units = "",
    prob: Annotated[str, typer.Option(help="Probabilities of the intervals.")] = "0.5,0.9",
    of: Annotated[str, typer.Option(help="score, or loss for a law with losses.")] = "score",
    kind: Annotated[
        str, typer.Option(help="score: a score with evaluation noise; mean: the expected score.")
    ] = "score",
    covariate: Covariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Predict scores or losses of models, with intervals.

    \b
    Example:
      scalebayes predict fit.nc --model llama-3.1-405b --family llama-3.1 \\
          --params 405e9 --tokens 15e12
    """
    import scalebayes as sb
    from scalebayes.cli import inputs, options
    from scalebayes.report import tables

    factors = options.factors("--units", [units])
    loaded = sb.load(fit)
    wanted = inputs.models(models, model, family, params, tokens, factors, loaded, covariate)
    table = sb.predict(
        loaded,
        wanted,
        of=cast("Quantity", of),
        prob=options.probabilities(prob),
        kind=cast("Kind", kind),
        new_families=new_family,
        seed=seed,
    )
    for name in table.loc[table["kind"] == "new family", "family"].unique():
        note(
            f"the fit has not seen the family {name!r}: its effects are drawn from the population of families"
        )
    write_csv(table, csv)
    if json:
        print_answer(loaded, {"of": of, "kind": kind, "predictions": table})
        return
    tables.show(tables.predictions_as_text(table), group="model")


def mixture(
    fit: Saved,
    family: Annotated[str, typer.Option(help="Family of the model to train.")],
    params: Annotated[float, typer.Option(help="Its parameters, such as 1e9.")],
    tokens: Annotated[float, typer.Option(help="Its training tokens, such as 25e9.")],
    maximise: Annotated[
        str | None, typer.Option(metavar="BENCHMARK", help="Maximise this benchmark.")
    ] = None,
    minimise: Annotated[
        list[str],
        typer.Option(
            metavar="DOMAIN=WEIGHT", help="Minimise this loss; several make a weighted sum."
        ),
    ] = [],  # noqa: B006
    covariate: FamilyCovariates = [],  # noqa: B006
    draws: Annotated[
        int, typer.Option(min=2, help="Largest number of posterior draws to use.")
    ] = 200,
    prob: Annotated[str, typer.Option(help="Probabilities of the intervals.")] = "0.5,0.9",
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Estimate the best mixture of training data under a fit of flp-m, with intervals.

    \b
    Example:
      scalebayes mixture fit.nc --family mine --params 1e9 --tokens 25e9 \\
          --minimise pile_cc=1
    """
    import scalebayes as sb
    from scalebayes.cli import inputs, options
    from scalebayes.report import tables

    loaded = sb.load(fit)
    best = sb.best_mixture(
        loaded,
        family=family,
        params=params,
        tokens=tokens,
        benchmark=maximise,
        losses=options.factors("--minimise", minimise),
        draws=draws,
        prob=options.probabilities(prob),
        covariates=inputs.covariate_values(loaded, covariate),
    )
    write_csv(best.weights, csv)
    if json:
        of_value = {k: v[0] for k, v in sb.summary(best.value.to_numpy()[None]).items()}
        gap = float(best.gap.max())
        print_answer(loaded, {"weights": best.weights, "value": of_value, "gap": gap})
        return
    tables.show(tables.intervals_as_text(best.weights.drop(columns="mean")))


def summary(fit: Saved, csv: Csv = None, json: Json = False) -> None:
    """Print the law, data, convergence checks, timings and priors of a fit.

    \b
    Example:
      scalebayes summary fit.nc
    """
    import pandas as pd

    import scalebayes as sb
    from scalebayes.report import tables
    from scalebayes.report.summary import about, flat

    loaded = sb.load(fit)
    facts = about(loaded)
    rows = pd.DataFrame(
        [(part, str(k), _short(v)) for part, values in facts.items() if part != "priors"
         for k, v in flat(values).items()],
        columns=["part", "name", "value"],
    )  # fmt: skip
    priors = pd.DataFrame(facts["priors"])
    of_priors = pd.DataFrame({"part": "prior", "name": priors["name"], "value": priors["prior"]})
    write_csv(pd.concat([rows, of_priors]), csv)
    if json:
        print_answer(loaded, facts)
        return
    tables.show(rows, group="part")
    print()
    tables.show(priors)


def skills(
    fit: Saved,
    rotation: Annotated[
        str,
        typer.Option(
            help="oblimin or promax (correlated skills), varimax or quartimax (uncorrelated)."
        ),
    ] = "oblimin",
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write each table to a file in this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the skills of a fit: loadings, correlations, families and models.

    \b
    Example:
      scalebayes skills fit.nc --rotation varimax --csv out/skills
    """
    import scalebayes as sb
    from scalebayes.report import tables
    from scalebayes.skills import skills as skills_of

    loaded = sb.load(fit)
    found = skills_of(loaded, rotation=rotation)
    parts = {
        name: getattr(found, name)
        for name in ("loadings", "correlations", "slopes", "families", "models")
    }
    if csv is not None:
        csv.mkdir(parents=True, exist_ok=True)
        for name, table in parts.items():
            table.to_csv(csv / f"{name}.csv", index=False)
        note(f"wrote {', '.join(f'{name}.csv' for name in parts)} to {csv}")
    if json:
        print_answer(loaded, {"rotation": rotation, **parts})
        return
    for name, table in parts.items():
        shown = table
        if name in ("families", "models"):
            label = name.removesuffix("s") if name == "models" else "family"
            best = table[table["skill"] == table["skill"].iloc[0]].nlargest(
                MAX_ROWS_OF_SKILLS, "median"
            )
            shown = table.set_index(label).loc[best[label]].reset_index()
            name = f"{name}: the {len(best)} highest of {table[label].nunique()} in the first skill"
        if len(shown):
            shown = shown.drop(columns=["mean", "sd"])
            tables.show(tables.intervals_as_text(shown), title=name, group=str(shown.columns[0]))
            print()


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
