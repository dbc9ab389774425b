"""The verbs that ask a fit: `predict`, `mixture`, `summary` and `skills`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scalebayes.cli.common import (
    Covariates,
    Csv,
    Json,
    NewFamily,
    Saved,
    Seed,
    Units,
    note,
    print_json,
    write_csv,
)

if TYPE_CHECKING:
    from scalebayes.prediction.designs import Quantity
    from scalebayes.prediction.predictive import Kind

MOST_MODELS = 12
"""Models whose skills are printed; CSV and JSON hold all."""


def predict(
    fit: Saved,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="MODELS.csv",
            help="Columns model, family, params, tokens (counts); or one row a share, with source "
            "and weight too.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of a single model.")] = None,
    family: Annotated[str | None, typer.Option(help="Its family.")] = None,
    params: Annotated[float | None, typer.Option(help="Its parameters, such as 70e9.")] = None,
    tokens: Annotated[
        float | None, typer.Option(help="Its training tokens, such as 15e12; else averaged over.")
    ] = None,
    units: Units = "",
    prob: Annotated[str, typer.Option(help="Probabilities of the intervals.")] = "0.5,0.9",
    of: Annotated[str, typer.Option(help="score, or loss of a law that has losses.")] = "score",
    kind: Annotated[
        str, typer.Option(help="score: what an evaluation will show; mean: what the law expects.")
    ] = "score",
    covariate: Covariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Predict models that need not exist yet, with intervals.

    \b
    Example:
      scalebayes predict fit.nc --model llama-3.1-405b --family llama-3.1 \\
          --params 405e9 --tokens 15e12
    """
    import scalebayes as sb
    from scalebayes.cli import options
    from scalebayes.report import tables

    factors = options.factors("--units", [units])
    loaded = sb.load(fit)
    wanted = options.models(models, model, family, params, tokens, factors, loaded, covariate)
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
        typer.echo(
            f"the fit has not seen the family {name!r}: drawn from the population of families",
            err=True,
        )
    write_csv(table, csv)
    if json:
        print_json({"of": of, "kind": kind, "predictions": table})
        return
    readable = table.drop(columns=["mean", "kind"])
    tables.show(tables.intervals_as_text(readable), group="model")


def mixture(
    fit: Saved,
    family: Annotated[str, typer.Option(help="Family of the model to train.")],
    params: Annotated[float, typer.Option(help="Its parameters, such as 1e9.")],
    tokens: Annotated[float, typer.Option(help="Its training tokens, such as 25e9.")],
    maximise: Annotated[
        str | None, typer.Option(metavar="BENCHMARK", help="The benchmark to maximise.")
    ] = None,
    minimise: Annotated[
        list[str],
        typer.Option(
            metavar="DOMAIN=WEIGHT", help="Loss to minimise, a weighted sum where repeated."
        ),
    ] = [],  # noqa: B006
    covariate: Covariates = [],  # noqa: B006
    draws: Annotated[int, typer.Option(min=2, help="Posterior draws to use at most.")] = 200,
    prob: Annotated[str, typer.Option(help="Probabilities of the intervals.")] = "0.5,0.9",
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find the mixture of training data that a fit of flp-m holds for the best, with intervals.

    \b
    Example:
      scalebayes mixture fit.nc --family mine --params 1e9 --tokens 25e9 \\
          --minimise pile_cc=1
    """
    import scalebayes as sb
    from scalebayes.cli import options
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
        covariates=options.covariate_values(loaded, covariate),
    )
    write_csv(best.weights, csv)
    if json:
        of_value = {k: v[0] for k, v in sb.summary(best.value.to_numpy()[None]).items()}
        print_json({"weights": best.weights, "value": of_value, "gap": float(best.gap.max())})
        return
    tables.show(tables.intervals_as_text(best.weights.drop(columns="mean")))


def summary(fit: Saved, csv: Csv = None, json: Json = False) -> None:
    """Tell what a fit is: law, data, verdict, timings, priors.

    \b
    Example:
      scalebayes summary fit.nc
    """
    import pandas as pd

    import scalebayes as sb
    from scalebayes.report import tables
    from scalebayes.report.summary import about

    facts = about(sb.load(fit))
    rows = pd.DataFrame(
        [(part, str(k), _short(v)) for part, values in facts.items() if part != "priors"
         for k, v in values.items()],
        columns=["part", "name", "value"],
    )  # fmt: skip
    priors = pd.DataFrame(facts["priors"])
    of_priors = pd.DataFrame({"part": "prior", "name": priors["name"], "value": priors["prior"]})
    write_csv(pd.concat([rows, of_priors]), csv)
    if json:
        print_json(facts)
        return
    tables.show(rows, group="part")
    print()
    tables.show(priors)


def skills(
    fit: Saved,
    rotation: Annotated[
        str, typer.Option(help="oblimin or promax (correlated), varimax or quartimax (not).")
    ] = "oblimin",
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write each table to a file in this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the skills of a fit: loadings, models, families.

    \b
    Example:
      scalebayes skills fit.nc --rotation varimax --csv out/skills
    """
    import scalebayes as sb
    from scalebayes.report import tables
    from scalebayes.skills import skills as skills_of

    found = skills_of(sb.load(fit), rotation=rotation)
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
        print_json({"rotation": rotation, **parts})
        return
    for name, table in parts.items():
        shown = table
        if name in ("families", "models"):
            label = name.removesuffix("s") if name == "models" else "family"
            best = table[table["skill"] == table["skill"].iloc[0]].nlargest(MOST_MODELS, "median")
            shown = table.set_index(label).loc[best[label]].reset_index()
            name = f"{name}: {len(best)} strongest of {table[label].nunique()} in the first skill"
        if len(shown):
            shown = shown.drop(columns=["mean", "sd"])
            tables.show(tables.intervals_as_text(shown), title=name, group=str(shown.columns[0]))
            print()


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
