"""The verbs of `plan`: questions asked before training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    picture_file,
    print_json,
    write_csv,
)

if TYPE_CHECKING:
    import pandas as pd

Targets = Annotated[
    list[str],
    typer.Option(
        metavar="BENCHMARK=SCORE", help="Score to reach, such as mmlu=0.8; may be repeated."
    ),
]
Family = Annotated[str, typer.Option(help="Family of the model to train.")]
Models = Annotated[
    Path | None,
    typer.Option(metavar="MODELS.csv", help="Columns model, family, params, tokens (counts)."),
]
Ratios = Annotated[
    str,
    typer.Option(
        metavar="LOW,HIGH", help="Tokens per parameter to consider; by default those seen."
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", callback=picture_file, help="Draw it to this file: .png, .svg or .pdf."
    ),
]


def chance(
    fit: Saved,
    target: Targets,
    models: Models = None,
    model: Annotated[str | None, typer.Option(help="Name of a single model.")] = None,
    family: Annotated[str | None, typer.Option(help="Its family.")] = None,
    params: Annotated[float | None, typer.Option(help="Its parameters, such as 70e9.")] = None,
    tokens: Annotated[float | None, typer.Option(help="Its training tokens.")] = None,
    units: Units = "",
    covariate: Covariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Tell how likely planned models reach targets, each on its own and all at once.

    \b
    Example:
      scalebayes plan chance fit.nc --target mmlu=0.8 --target gsm8k=0.7 \\
          --model next-70b --family next --params 70e9 --tokens 15e12
    """
    import scalebayes as sb
    from scalebayes.cli import options

    factors = options.factors("--units", [units])
    loaded = sb.load(fit)
    wanted = options.models(models, model, family, params, tokens, factors, loaded, covariate)
    targets = options.factors("--target", target)
    table = sb.target_probability(loaded, wanted, targets, new_families=new_family, seed=seed)
    _show({"probabilities": table}, csv, json, group="model")


def budget(
    fit: Saved,
    family: Family,
    target: Targets,
    probability: Annotated[float, typer.Option(help="How sure to be.")] = 0.8,
    flops: Annotated[
        str,
        typer.Option(
            metavar="LOW,HIGH",
            help="Budgets to consider; by default to 1000 times the largest seen.",
        ),
    ] = "",
    tokens_per_param: Ratios = "",
    picture: Picture = None,
    covariate: Covariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find the smallest budget that reaches targets with a probability, and the model that does it.

    \b
    Example:
      scalebayes plan budget fit.nc --family llama-2 --target mmlu=0.75 --picture map.png
    """
    import numpy as np
    import pandas as pd

    import scalebayes as sb
    from scalebayes.cli import options

    targets = options.factors("--target", target)
    loaded = sb.load(fit)
    found = sb.smallest_budget(
        loaded, family, targets, probability=probability, flops=_pair("--flops", flops),
        tokens_per_param=_pair("--tokens-per-param", tokens_per_param),
        new_families=new_family, covariates=options.covariate_values(loaded, covariate), seed=seed,
    )  # fmt: skip
    if found.at_edge:
        note(
            "its tokens per parameter are at an end of those considered: beyond, a smaller budget may do"
        )
    if picture is not None:
        from scalebayes import plots

        spread = np.geomspace(1 / 30, 30, 25)
        grid = sb.target_map(
            loaded, family, targets, params=spread * found.params, tokens=spread * found.tokens,
            new_families=new_family, covariates=options.covariate_values(loaded, covariate),
            seed=seed,
        )  # fmt: skip
        title = f"{family}: " + ", ".join(f"{k} ≥ {v:g}" for k, v in targets.items())
        _draw(picture, lambda: plots.target_map(grid, title=title))
    answer = {
        "flops": found.flops, "params": found.params, "tokens": found.tokens,
        "probability": found.probability, "at_edge": found.at_edge,
    }  # fmt: skip
    write_csv(found.frontier, csv)
    if json:
        print_json({**answer, "frontier": found.frontier})
        return
    _print(pd.DataFrame([answer]))


def allocation(
    fit: Saved,
    family: Family,
    flops: Annotated[str, typer.Option(help="Budgets in FLOPs, such as 1e23,1e24.")],
    benchmarks: Annotated[
        str, typer.Option(help="Benchmarks to maximise, by default the mean of all.")
    ] = "",
    minimise: Annotated[
        list[str],
        typer.Option(metavar="DOMAIN=WEIGHT", help="Loss to minimise, a weighted sum if repeated."),
    ] = [],  # noqa: B006
    tokens_per_param: Ratios = "",
    picture: Picture = None,
    covariate: Covariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Divide budgets into size and tokens, and tell what it costs to be off.

    \b
    Example:
      scalebayes plan allocation ladder.nc --family mine --flops 1e22,1e23 --minimise c4=1
    """
    import scalebayes as sb
    from scalebayes import plots
    from scalebayes.cli import options

    losses = options.factors("--minimise", minimise)
    loaded = sb.load(fit)
    found = sb.allocate(
        loaded, family, options.numbers("--flops", flops, "1e23,1e24"),
        benchmarks=[b.strip() for b in benchmarks.split(",") if b.strip()], losses=losses or None,
        tokens_per_param=_pair("--tokens-per-param", tokens_per_param),
        new_families=new_family, covariates=options.covariate_values(loaded, covariate), seed=seed,
    )  # fmt: skip
    if picture is not None:
        of = "loss" if losses else "score"
        _draw(picture, lambda: plots.allocation(found.prices, found.region, of=of)[0])
    write_csv(found.prices, csv)
    if json:
        print_json({"best": found.best, "region": found.region, "prices": found.prices})
        return
    _print(found.best, "best: highest expected value; price: what it lacks of the unknown best")
    shown = found.region.drop(columns=["mean", "sd"])
    print()
    _print(shown, "where the best lies", group="flops")


def contest(
    fit: Saved,
    models: Annotated[
        Path, typer.Option(metavar="MODELS.csv", help="Columns model, family, params, tokens.")
    ],
    units: Units = "",
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Tell how likely one model beats another, for each pair of a file.

    \b
    Example:
      scalebayes plan contest fit.nc --models planned.csv
    """
    import scalebayes as sb
    from scalebayes.cli import options

    loaded = sb.load(fit)
    wanted = options.models_from(models, options.factors("--units", [units]), loaded)
    table = sb.beats(loaded, wanted, new_families=new_family, seed=seed)
    _show({"contests": table}, csv, json, group="rival")


def next_run(
    fit: Saved,
    candidates: Annotated[
        Path, typer.Option(metavar="RUNS.csv", help="Columns model, family, params, tokens.")
    ],
    family: Annotated[str, typer.Option(help="Family of the model to be predicted.")],
    params: Annotated[float, typer.Option(help="Its parameters, such as 70e9.")],
    tokens: Annotated[float, typer.Option(help="Its training tokens.")],
    benchmark: Annotated[
        str | None, typer.Option(help="The benchmark; by default the mean of all.")
    ] = None,
    units: Units = "",
    covariate: Covariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Rank candidate runs by what each would tell of a prediction, per FLOP.

    \b
    Example:
      scalebayes plan next fit.nc --candidates small.csv --family next --params 70e9 \\
          --tokens 15e12 --benchmark mmlu
    """
    import scalebayes as sb
    from scalebayes.cli import options

    loaded = sb.load(fit)
    runs = options.models_from(candidates, options.factors("--units", [units]), loaded)
    name = "the model to be predicted"
    model = options.models(None, name, family, params, tokens, {}, loaded, covariate)
    table = sb.next_run(
        loaded, runs, model, benchmark=benchmark, new_families=new_family, seed=seed
    )
    _show({"candidates": table}, csv, json)


def _pair(option: str, text: str) -> tuple[float, float] | None:
    """Parse LOW,HIGH."""
    from scalebayes.cli import options

    found = options.numbers(option, text, "10,200")
    if not found:
        return None
    if len(found) != 2:
        raise ValueError(f"{option} expects two numbers, such as 10,200, got {text!r}")
    return found[0], found[1]


def _show(found: dict[str, pd.DataFrame], csv: Path | None, json: bool, group: str = "") -> None:
    """Print one table, or JSON, and write it to a file if one is named."""
    (table,) = found.values()
    write_csv(table, csv)
    if json:
        print_json(found)
        return
    _print(table, group=group)


def _print(table: pd.DataFrame, title: str = "", group: str = "") -> None:
    """Print a table, large numbers in a few digits and intervals in one column."""
    from scalebayes.report import tables

    large = [c for c in ("flops", "params", "tokens") if c in table]
    text = {c: [f"{v:.3g}" for v in table[c]] for c in large}
    if "quantity" in table:
        levels = [c for c in table.columns if c.startswith(("median", "lower", "upper"))]
        text |= {c: [f"{v:.3g}" for v in table[c]] for c in levels}
        tables.show(table.assign(**text), title=title, group=group)
        return
    tables.show(tables.intervals_as_text(table.assign(**text)), title=title, group=group)


def _draw(path: Path, make: Any) -> None:
    """Draw to a file without a window."""
    import matplotlib as mpl

    mpl.use("Agg")
    make().figure.savefig(path, dpi=110)
    note(f"wrote {path}")
