"""The verbs that fit: `demo` and `fit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalebayes.cli.common import (
    Chains,
    Draws,
    Json,
    Seed,
    Units,
    Warmup,
    in_folder,
    note,
    print_json,
    shows_progress,
)

if TYPE_CHECKING:
    import pandas as pd

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
    from scalebayes.evaluation import demo as demonstration
    from scalebayes.report.summary import headline, verdict

    made, observations, hold_out = demonstration.task(law)
    out.mkdir(parents=True, exist_ok=True)
    typer.echo(
        f"fitting {observations}, {len(hold_out)} models held out (a minute or two on two cores)",
        err=True,
    )
    fit = sb.fit(
        made, observations, seed=seed, sampler=sb.Nuts(draws=draws, warmup=warmup, chains=chains),
        hold_out=hold_out, progress=shows_progress(json),
    )  # fmt: skip
    table = demonstration.held_out(fit, seed=seed)
    found = demonstration.accuracy(table)
    files = {"table": out / "predictions.csv", "picture": out / "intervals.png"}
    table.to_csv(files["table"], index=False)
    _picture(table, files["picture"])
    if json:
        print_json(
            {
                "predictions": table,
                **found,
                "verdict": verdict(fit),
                "seconds": fit.provenance["seconds"],
                "files": {k: str(v) for k, v in files.items()},
            }
        )
        return
    _print_held_out(table, found)
    print(headline(fit))
    print(f"\npicture: {files['picture']}\ntable:   {files['table']}")


def fit(
    law: Annotated[
        str,
        typer.Argument(
            metavar="LAW",
            help="Name of a law; `scalebayes laws` lists them with their choices.",
        ),
    ],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE.csv",
            help="One row a model, one column a benchmark; open_llm and olmo_ladder are bundled.",
        ),
    ],
    out: Annotated[Path, typer.Option(callback=in_folder, help="The file to write.")] = Path(
        "fit.nc"
    ),
    benchmarks: Annotated[
        str,
        typer.Option(
            help="Columns of scores: mmlu,gsm8k, or all for all other numeric ones; leave it out for losses "
            "alone."
        ),
    ] = "",
    model_col: Annotated[str, typer.Option(help="Column of model names.")] = "model",
    family_col: Annotated[str, typer.Option(help="Column of families.")] = "family",
    params_col: Annotated[str, typer.Option(help="Column of parameters.")] = "params",
    tokens_col: Annotated[
        str, typer.Option(help="Column of training tokens; none if there is none.")
    ] = "tokens",
    units: Units = "",
    hold_out: Annotated[
        list[str], typer.Option(metavar="MODEL", help="Model the law may not see; may be repeated.")
    ] = [],  # noqa: B006
    choices: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="CHOICE=VALUE",
            help="Structural choice of the law, such as skills=3 or feature=c4; may be repeated.",
        ),
    ] = [],  # noqa: B006
    covariate: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN=KIND",
            help="Column of a covariate of the models: numeric, category, or its levels in order, "
            "as in stage=base<sft<chat; may be repeated.",
        ),
    ] = [],  # noqa: B006
    loss: Annotated[
        list[str],
        typer.Option(
            metavar="DOMAIN=COLUMN:UNIT",
            help="Column of losses, in nats/token or bits/byte; may be repeated.",
        ),
    ] = [],  # noqa: B006
    mixture: Annotated[
        list[str],
        typer.Option(
            metavar="SOURCE=COLUMN",
            help="Column of a source's share of the training data; may be repeated.",
        ),
    ] = [],  # noqa: B006
    staged: Annotated[
        bool, typer.Option("--staged", help="Fit the steps of a law with losses apart.")
    ] = False,
    chance: Annotated[
        list[str],
        typer.Option(metavar="BENCHMARK=LEVEL", help="Score of guessing; may be repeated."),
    ] = [],  # noqa: B006
    items: Annotated[
        list[str], typer.Option(metavar="BENCHMARK=N", help="Number of items; may be repeated.")
    ] = [],  # noqa: B006
    seed: Seed = 0,
    draws: Draws = 1000,
    warmup: Warmup = 1000,
    chains: Chains = 4,
    target_accept: Annotated[
        float, typer.Option(help="Acceptance that steps are adapted to.")
    ] = 0.9,
    max_tree_depth: Annotated[int, typer.Option(help="At most 2^this steps a draw.")] = 10,
    json: Json = False,
) -> None:
    """Fit a law to a table of scores, and save the fit.

    Number of items and chance level of a benchmark with a well-known name are looked up.

    \b
    Example:
      scalebayes fit sloth scores.csv --benchmarks mmlu,gsm8k \\
          --units params=1e9,tokens=1e12 --out fit.nc
      scalebayes fit ladder runs.csv --benchmarks mmlu,piqa \\
          --loss c4=c4_loss:nats/token --set feature=c4 --out ladder.nc
    """
    import scalebayes as sb
    from scalebayes.cli import inputs, laws, options
    from scalebayes.evaluation.demo import accuracy, held_out
    from scalebayes.report.summary import about, headline

    covariates = options.covariates(covariate)
    made = laws.make(law, choices, covariates)
    names = {"model": model_col, "family": family_col, "params": params_col, "tokens": tokens_col}
    observations, notes = inputs.observations(
        table,
        benchmarks,
        names,
        losses=options.losses(loss),
        mixtures=options.mixtures(mixture),
        units=options.factors("--units", [units]),
        chance=options.factors("--chance", chance),
        items=options.factors("--items", items),
        covariates=covariates,
    )
    if hold_out:
        observations.only(models=hold_out)  # refuses unknown names before anything is done
    for line in notes:
        note(line)
    note(f"fitting {observations}")
    sampler: sb.Nuts | sb.Staged = sb.Nuts(
        draws=draws, warmup=warmup, chains=chains, target_accept=target_accept,
        max_tree_depth=max_tree_depth,
    )  # fmt: skip
    if staged:
        sampler = sb.Staged(sampler)
    fit = sb.fit(
        made, observations, seed=seed, sampler=sampler, hold_out=hold_out,
        progress=shows_progress(json),
    )  # fmt: skip
    fit.save(out)
    compared = held_out(fit, seed=seed) if hold_out else None
    if json:
        found = {} if compared is None else {"predictions": compared}
        print_json({"file": str(out), **about(fit), **found})
        return
    if compared is not None:
        _print_held_out(compared, accuracy(compared))
    print(f"{headline(fit)}\nfit: {out}")


def _print_held_out(table: pd.DataFrame, found: dict[str, Any]) -> None:
    """Intervals beside scores, and the share of scores inside."""
    from scalebayes.data.validation import plural
    from scalebayes.report import tables

    scored = table[table["observed"].notna()]
    column, of = ("benchmark", "score") if "benchmark" in table else ("domain", "loss")
    readable = scored[["model", column, "observed", "median", "lower_90", "upper_90"]]
    shown = tables.intervals_as_text(readable).rename(columns={"observed": of})
    shown["inside"] = ["yes" if inside else "NO" for inside in scored["inside_90"]]
    tables.show(shown, group="model")
    error = found["mean_absolute_error"]
    size = f"{100 * error:.1f} points" if of == "score" else f"{error:.3f}"
    count = plural(found["scores"], of, "losses" if of == "loss" else "")
    print(
        f"\n{count} of {plural(found['models'], 'held-out model')}: "
        f"{found['coverage_90']:.0%} inside the 90% interval, "
        f"{found['coverage_50']:.0%} inside the 50% interval, "
        f"mean absolute error {size}"
    )


def _picture(table: pd.DataFrame, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from scalebayes.plots import interval_panels

    interval_panels(table).savefig(path, dpi=110)
