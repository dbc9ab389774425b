"""The command line: the package's verbs from a shell. What is slow to import waits for its verb."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scalebayes.shell import run

if TYPE_CHECKING:
    import pandas as pd

    from scalebayes.prediction import Kind, Quantity

DEMO_DRAWS = 1000
DEMO_WARMUP = 500
DEMO_CHAINS = 2

MOST_MODELS = 12
"""Models whose skills are printed; CSV and JSON hold all."""

app = typer.Typer(
    help="How accurate a model not yet trained will be, and how sure we are.",
    epilog="Example: scalebayes demo. Each verb has its own: scalebayes fit --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

data = typer.Typer(
    help="Public data sets, as the tables that the package and its benchmarks read.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(data, name="data")

Seed = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]
Draws = Annotated[int, typer.Option(min=1, help="Draws kept per chain.")]
Warmup = Annotated[int, typer.Option(min=1, help="Adapting iterations per chain, not kept.")]
Chains = Annotated[int, typer.Option(min=1, help="Chains, run in parallel over the cores.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the table to this file as well.")]
Units = Annotated[
    str, typer.Option(help="Factors to counts, such as params=1e9,tokens=1e12 (score=0.01 for %).")
]
Saved = Annotated[Path, typer.Argument(metavar="FIT.nc", help="A fit that `fit` has written.")]


@app.command()
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
    from scalebayes import demo as demonstration
    from scalebayes.about import headline, verdict

    made, observations, hold_out = demonstration.task(law)
    out.mkdir(parents=True, exist_ok=True)
    typer.echo(
        f"fitting {observations}, {len(hold_out)} models held out (a minute or two on two cores)",
        err=True,
    )
    fit = sb.fit(
        made, observations, seed=seed, draws=draws, warmup=warmup, chains=chains,
        hold_out=hold_out, progress=_progress(json),
    )  # fmt: skip
    table = demonstration.held_out(fit, seed=seed)
    found = demonstration.accuracy(table)
    files = {"table": out / "predictions.csv", "picture": out / "intervals.png"}
    table.to_csv(files["table"], index=False)
    _picture(table, files["picture"])
    if json:
        _print_json(
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


@app.command("fit")
def fit_(
    law: Annotated[
        str,
        typer.Argument(
            metavar="LAW",
            help="sloth, ladder, flp, flp-m, shared-intercept, family-intercept or size-and-tokens.",
        ),
    ],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE.csv",
            help="One row a model, one column a benchmark; open_llm and olmo_ladder are bundled.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("fit.nc"),
    benchmarks: Annotated[
        str,
        typer.Option(
            help="Columns of scores: mmlu,gsm8k, or all for all other numeric; none for losses alone."
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
    skills: Annotated[int | None, typer.Option(min=1, help="Number of skills (sloth).")] = None,
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
    feature: Annotated[
        str | None,
        typer.Option(help="Loss that drives accuracy: task, or a domain (ladder, flp)."),
    ] = None,
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
          --loss c4=c4_loss:nats/token --feature c4 --out ladder.nc
    """
    import scalebayes as sb
    from scalebayes import options
    from scalebayes.about import about, headline
    from scalebayes.demo import accuracy, held_out

    made = options.law(law, skills, feature)
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out {out}: there is no folder {out.parent}")
    names = {"model": model_col, "family": family_col, "params": params_col, "tokens": tokens_col}
    observations, notes = options.observations(
        table,
        benchmarks,
        names,
        losses=options.losses(loss),
        mixtures=options.mixtures(mixture),
        units=options.factors("--units", [units]),
        chance=options.factors("--chance", chance),
        items=options.factors("--items", items),
    )
    if hold_out:
        observations.only(models=hold_out)  # refuses unknown names before anything is done
    for line in notes:
        _note(line)
    _note(f"fitting {observations}")
    fit = sb.fit(
        made, observations, seed=seed, draws=draws, warmup=warmup, chains=chains, hold_out=hold_out,
        target_accept=target_accept, max_tree_depth=max_tree_depth, staged=staged,
        progress=_progress(json),
    )  # fmt: skip
    fit.save(out)
    compared = held_out(fit, seed=seed) if hold_out else None
    if json:
        found = {} if compared is None else {"predictions": compared}
        _print_json({"file": str(out), **about(fit), **found})
        return
    if compared is not None:
        _print_held_out(compared, accuracy(compared))
    print(f"{headline(fit)}\nfit: {out}")


@app.command()
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
    new_family: Annotated[
        list[str],
        typer.Option(help="New family with a name like a known one's; may be repeated."),
    ] = [],  # noqa: B006
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
    from scalebayes import options, tables

    factors = options.factors("--units", [units])
    wanted = options.models(models, model, family, params, tokens, factors)
    loaded = sb.load(fit)
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
    _write_csv(table, csv)
    if json:
        _print_json({"of": of, "kind": kind, "predictions": table})
        return
    readable = table.drop(columns=["mean", "kind"])
    tables.show(tables.intervals_as_text(readable), group="model")


@app.command()
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
    from scalebayes import options, tables

    best = sb.best_mixture(
        sb.load(fit),
        family=family,
        params=params,
        tokens=tokens,
        benchmark=maximise,
        losses=options.factors("--minimise", minimise),
        draws=draws,
        prob=options.probabilities(prob),
    )
    _write_csv(best.weights, csv)
    if json:
        of_value = {k: v[0] for k, v in sb.summary(best.value.to_numpy()[None]).items()}
        _print_json({"weights": best.weights, "value": of_value, "gap": float(best.gap.max())})
        return
    tables.show(tables.intervals_as_text(best.weights.drop(columns="mean")))


@app.command()
def summary(fit: Saved, csv: Csv = None, json: Json = False) -> None:
    """Tell what a fit is: law, data, verdict, timings, priors.

    \b
    Example:
      scalebayes summary fit.nc
    """
    import pandas as pd

    import scalebayes as sb
    from scalebayes import tables
    from scalebayes.about import about

    facts = about(sb.load(fit))
    rows = pd.DataFrame(
        [(part, str(k), _short(v)) for part, values in facts.items() if part != "priors"
         for k, v in values.items()],
        columns=["part", "name", "value"],
    )  # fmt: skip
    priors = pd.DataFrame(facts["priors"])
    of_priors = pd.DataFrame({"part": "prior", "name": priors["name"], "value": priors["prior"]})
    _write_csv(pd.concat([rows, of_priors]), csv)
    if json:
        _print_json(facts)
        return
    tables.show(rows, group="part")
    print()
    tables.show(priors)


@app.command()
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
    from scalebayes import tables
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
        _note(f"wrote {', '.join(f'{name}.csv' for name in parts)} to {csv}")
    if json:
        _print_json({"rotation": rotation, **parts})
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


@data.command()
def get(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="sloth, olmo-ladder, gadre or regmix.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Server that has the files at repository/commit/path; else that of "
            "SCALEBAYES_MIRROR, or GitHub.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Download again what is there.")] = False,
    json: Json = False,
) -> None:
    """Download a public data set and convert it into tables, unless it is there.

    The tables go to the folder that SCALEBAYES_DATA names, or to the user's cache.

    \b
    Example:
      scalebayes data get gadre
    """
    from scalebayes import datasets
    from scalebayes.datasets.downloads import TABLES

    folder = datasets.get(name, source=source, force=force)
    tables, about = TABLES[name], datasets.sources()[name]
    held = tables.read()
    if json:
        counts = {kind: len(getattr(held, kind)) for kind in ("models", "scores", "losses")}
        origin = {key: about[key] for key in ("repository", "commit", "licence")}
        _print_json({"folder": str(folder), "files": tables.files, **counts, **origin})
        return
    print(held)
    print(f"tables: {', '.join(str(folder / file) for file in tables.files)}")
    print(f"source: {about['repository']} at {about['commit'][:7]}, {about['licence']} licence")


def main() -> None:
    """Run the command line."""
    sys.exit(run(app))


def _note(message: str) -> None:
    typer.echo(message, err=True)


def _progress(json: bool) -> bool:
    """Whether to draw a progress bar, which goes to standard error."""
    return sys.stderr.isatty() and not json


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _print_held_out(table: pd.DataFrame, found: dict[str, Any]) -> None:
    """Intervals beside scores, and the share of scores inside."""
    from scalebayes import tables
    from scalebayes.validation import plural

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


def _write_csv(table: pd.DataFrame, path: Path | None) -> None:
    if path is not None:
        table.to_csv(path, index=False)
        _note(f"wrote {path}")


def _print_json(value: dict[str, Any]) -> None:
    from scalebayes.tables import to_json

    print(to_json(value))


if __name__ == "__main__":
    main()
