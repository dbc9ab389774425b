"""The verbs of `plan`: which model, which budget and which run to train."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalebayes.cli import options
from scalebayes.cli.common import (
    Covariates,
    Csv,
    FamilyCovariates,
    Json,
    NewFamily,
    Saved,
    Seed,
    Units,
    draw,
    note,
    picture_file,
    print_answer,
    print_with_counts,
    write_csv,
)

if TYPE_CHECKING:
    import pandas as pd

    from scalebayes.inference.posterior import Fit

Targets = Annotated[
    list[str],
    typer.Option(
        metavar="BENCHMARK=SCORE", help="Target score, such as mmlu=0.8; may be repeated."
    ),
]
Family = Annotated[str, typer.Option(help="Family of the model to train.")]
Models = Annotated[
    Path | None,
    typer.Option(
        metavar="MODELS.csv", help="Models: columns model, family, params, tokens, and covariates."
    ),
]
Ratios = Annotated[
    str,
    typer.Option(
        metavar="LOW,HIGH",
        help="Range of tokens per parameter to search; by default that of the data.",
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", callback=picture_file, help="Draw to this .png, .svg or .pdf file."
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
    """Estimate the probability that planned models reach target scores.

    There is one row per target, and a row "all" for all targets together.

    \b
    Example:
      scalebayes plan chance fit.nc --target mmlu=0.8 --target gsm8k=0.7 \\
          --model next-70b --family next --params 70e9 --tokens 15e12
    """
    import scalebayes as sb
    from scalebayes.cli import inputs

    factors = options.factors("--units", [units])
    loaded = sb.load(fit)
    wanted = inputs.models(models, model, family, params, tokens, factors, loaded, covariate)
    targets = options.factors("--target", target)
    table = sb.target_probability(loaded, wanted, targets, new_families=new_family, seed=seed)
    _show(loaded, {"probabilities": table}, csv, json, group="model")


def budget(
    fit: Saved,
    family: Family,
    target: Targets,
    probability: Annotated[float, typer.Option(help="Required probability.")] = 0.8,
    flops: Annotated[
        str,
        typer.Option(
            metavar="LOW,HIGH",
            help="Range of FLOPs to search; by default up to 1000 times the largest in the data.",
        ),
    ] = "",
    tokens_per_param: Ratios = "",
    picture: Picture = None,
    covariate: FamilyCovariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find the smallest training budget that reaches targets with a given probability.

    \b
    Example:
      scalebayes plan budget fit.nc --family llama-2 --target mmlu=0.75 --picture map.png
    """
    import numpy as np
    import pandas as pd

    import scalebayes as sb
    from scalebayes.cli import inputs

    targets = options.factors("--target", target)
    loaded = sb.load(fit)
    values = inputs.covariate_values(loaded, covariate)
    found = sb.smallest_budget(
        loaded, family, targets, probability=probability, flops=options.low_and_high("--flops", flops),
        tokens_per_param=options.low_and_high("--tokens-per-param", tokens_per_param),
        new_families=new_family, covariates=values, seed=seed,
    )  # fmt: skip
    if found.at_edge:
        note(
            "the best tokens per parameter are at the end of the range: a wider --tokens-per-param may give "
            "a smaller budget"
        )
    if picture is not None:
        from scalebayes import plots

        spread = np.geomspace(1 / 30, 30, 25)
        with warnings.catch_warnings():
            # of the grid around the answer, which has been told how far out it is
            warnings.simplefilter("ignore", sb.ExtrapolationWarning)
            grid = sb.target_map(
                loaded, family, targets, params=spread * found.params, tokens=spread * found.tokens,
                new_families=new_family, covariates=values, seed=seed,
            )  # fmt: skip
        title = f"{family}: " + ", ".join(f"{k} ≥ {v:g}" for k, v in targets.items())
        draw(picture, lambda: plots.target_map(grid, title=title))
    answer = {
        "flops": found.flops, "params": found.params, "tokens": found.tokens,
        "probability": found.probability, "at_edge": found.at_edge,
    }  # fmt: skip
    write_csv(found.frontier, csv)
    if json:
        print_answer(loaded, {**answer, "frontier": found.frontier})
        return
    print_with_counts(pd.DataFrame([answer]))


def allocation(
    fit: Saved,
    family: Family,
    flops: Annotated[str, typer.Option(help="Training budgets, such as 1e23,1e24.")],
    benchmarks: Annotated[
        str, typer.Option(help="Maximise the mean score of these benchmarks; by default all.")
    ] = "",
    minimise: Annotated[
        list[str],
        typer.Option(
            metavar="DOMAIN=WEIGHT", help="Minimise this loss; several make a weighted sum."
        ),
    ] = [],  # noqa: B006
    tokens_per_param: Ratios = "",
    picture: Picture = None,
    covariate: FamilyCovariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Divide training budgets between parameters and tokens.

    Prints the size with the highest expected value, its expected shortfall from the optimum (price),
    and credible intervals of the optimum.

    \b
    Example:
      scalebayes plan allocation ladder.nc --family mine --flops 1e22,1e23 --minimise c4=1
    """
    import scalebayes as sb
    from scalebayes import plots
    from scalebayes.cli import inputs

    losses = options.factors("--minimise", minimise)
    loaded = sb.load(fit)
    found = sb.allocate(
        loaded, family, options.numbers("--flops", flops, "1e23,1e24"),
        benchmarks=[b.strip() for b in benchmarks.split(",") if b.strip()], losses=losses or None,
        tokens_per_param=options.low_and_high("--tokens-per-param", tokens_per_param),
        new_families=new_family, covariates=inputs.covariate_values(loaded, covariate), seed=seed,
    )  # fmt: skip
    if picture is not None:
        of = "loss" if losses else "score"
        draw(picture, lambda: plots.allocation(found.prices, found.region, of=of)[0])
    write_csv(found.prices, csv)
    if json:
        answer = {"best": found.best, "region": found.region, "prices": found.prices}
        print_answer(loaded, answer)
        return
    print_with_counts(
        found.best, "best: highest expected value; price: expected shortfall from the optimum"
    )
    shown = found.region.drop(columns=["mean", "sd"])
    print()
    print_with_counts(shown, "intervals of the optimum", group="flops")


def contest(
    fit: Saved,
    models: Annotated[
        Path,
        typer.Option(metavar="MODELS.csv", help="Models: columns model, family, params, tokens."),
    ],
    units: Units = "",
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Estimate the probability that one model scores higher than another, for each pair.

    \b
    Example:
      scalebayes plan contest fit.nc --models planned.csv
    """
    import scalebayes as sb
    from scalebayes.cli import inputs

    loaded = sb.load(fit)
    wanted = inputs.models_from(models, options.factors("--units", [units]), loaded)
    table = sb.beats(loaded, wanted, new_families=new_family, seed=seed)
    _show(loaded, {"contests": table}, csv, json, group="rival")


def next_run(
    fit: Saved,
    candidates: Annotated[
        Path, typer.Option(metavar="RUNS.csv", help="Runs: columns model, family, params, tokens.")
    ],
    family: Annotated[str, typer.Option(help="Family of the model to predict.")],
    params: Annotated[float, typer.Option(help="Its parameters, such as 70e9.")],
    tokens: Annotated[float, typer.Option(help="Its training tokens.")],
    benchmark: Annotated[
        str | None, typer.Option(help="Benchmark to predict; by default the mean of all.")
    ] = None,
    units: Units = "",
    covariate: Covariates = [],  # noqa: B006
    new_family: NewFamily = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Rank candidate runs by how much each would reduce the uncertainty of a prediction.

    The ranking is by expected information per training FLOP.

    \b
    Example:
      scalebayes plan next fit.nc --candidates small.csv --family next --params 70e9 \\
          --tokens 15e12 --benchmark mmlu
    """
    import scalebayes as sb
    from scalebayes.cli import inputs

    loaded = sb.load(fit)
    runs = inputs.models_from(candidates, options.factors("--units", [units]), loaded)
    name = "the model to predict"
    model = inputs.models(None, name, family, params, tokens, {}, loaded, covariate)
    table = sb.next_run(
        loaded, runs, model, benchmark=benchmark, new_families=new_family, seed=seed
    )
    _show(loaded, {"candidates": table}, csv, json)


def _show(
    fit: Fit, found: dict[str, pd.DataFrame], csv: Path | None, json: bool, group: str = ""
) -> None:
    """Print one table, as text or JSON, and write it to the file if there is one."""
    (table,) = found.values()
    write_csv(table, csv)
    if json:
        print_answer(fit, found)
        return
    print_with_counts(table, group=group)
