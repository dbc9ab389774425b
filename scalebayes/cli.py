"""The command line: the verbs of the package from a shell. Whatever is slow to import waits for its verb."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from scalebayes.laws.law import Law
    from scalebayes.observations import Observations
    from scalebayes.posterior import Fit

DEMO_DRAWS = 500
DEMO_WARMUP = 400
DEMO_CHAINS = 2
BAD_INPUT = 2
"""Exit code for input that cannot be used."""

MOST_MODELS = 12
"""Models whose skills are printed; CSV and JSON hold all."""

app = typer.Typer(
    help="How accurate a model not yet trained will be, and how sure we are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

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
    seed: Seed = 0,
    draws: Draws = DEMO_DRAWS,
    warmup: Warmup = DEMO_WARMUP,
    chains: Chains = DEMO_CHAINS,
    out: Annotated[Path, typer.Option(help="Folder for the picture and the table.")] = Path(
        "out/demo"
    ),
    json: Json = False,
) -> None:
    """Fit public scores without the largest model of ten families, and see what comes of it.

    Prints a 90% interval beside each score of the ten models, and the share of scores inside.

    \b
    Example:
      scalebayes demo --out out/demo
    """
    import scalebayes as sb
    from scalebayes import demo as demonstration

    out.mkdir(parents=True, exist_ok=True)
    observations = sb.datasets.open_llm()
    hold_out = demonstration.largest(observations)
    _note(f"fitting {observations}, {len(hold_out)} models held out (a minute or two on two cores)")
    fit = sb.fit(
        sb.Sloth(), observations, seed=seed, draws=draws, warmup=warmup, chains=chains,
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
                "verdict": _verdict(fit),
                "seconds": fit.provenance["seconds"],
                "files": {k: str(v) for k, v in files.items()},
            }
        )
        return
    _print_held_out(table, found)
    print(_headline(fit))
    print(f"\npicture: {files['picture']}\ntable:   {files['table']}")


@app.command("fit")
def fit_(
    law: Annotated[
        str,
        typer.Argument(
            metavar="LAW", help="sloth, shared-intercept, family-intercept or size-and-tokens."
        ),
    ],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE.csv",
            help="One row a model, one column a benchmark; open_llm is the bundled table.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("fit.nc"),
    benchmarks: Annotated[
        str, typer.Option(help="Columns with scores, as in mmlu,gsm8k; all: all other numeric ones.")
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
    target_accept: Annotated[float, typer.Option(help="Acceptance that steps are adapted to.")] = 0.9,
    max_tree_depth: Annotated[int, typer.Option(help="At most 2^this steps a draw.")] = 10,
    json: Json = False,
) -> None:
    """Fit a law to a table of scores and write the fit to a file.

    Number of items and chance level of a benchmark with a well-known name are looked up.

    \b
    Example:
      scalebayes fit sloth scores.csv --benchmarks mmlu,gsm8k \\
          --units params=1e9,tokens=1e12 --out fit.nc
    """
    import scalebayes as sb
    from scalebayes import demo as demonstration

    made = _law(law, skills)
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out {out}: there is no folder {out.parent}")
    names = {"model": model_col, "family": family_col, "params": params_col, "tokens": tokens_col}
    observations = _observations(
        table, benchmarks, names, _factors("--units", [units]), _factors("--chance", chance),
        _factors("--items", items),
    )  # fmt: skip
    _note(f"fitting {observations}")
    fit = sb.fit(
        made, observations, seed=seed, draws=draws, warmup=warmup, chains=chains, hold_out=hold_out,
        target_accept=target_accept, max_tree_depth=max_tree_depth, progress=_progress(json),
    )  # fmt: skip
    fit.save(out)
    compared = demonstration.held_out(fit, seed=seed) if hold_out else None
    if json:
        found = {} if compared is None else {"predictions": compared}
        _print_json({"file": str(out), **_about(fit), **found})
        return
    if compared is not None:
        _print_held_out(compared, demonstration.accuracy(compared))
    print(f"{_headline(fit)}\nfit: {out}")


@app.command()
def predict(
    fit: Saved,
    models: Annotated[
        Path | None,
        typer.Option(metavar="MODELS.csv", help="Columns model, family, params, tokens (counts)."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of a single model.")] = None,
    family: Annotated[str | None, typer.Option(help="Its family.")] = None,
    params: Annotated[float | None, typer.Option(help="Its parameters, such as 70e9.")] = None,
    tokens: Annotated[
        float | None, typer.Option(help="Its training tokens, such as 15e12; else averaged over.")
    ] = None,
    units: Units = "",
    prob: Annotated[str, typer.Option(help="Probabilities of the intervals.")] = "0.5,0.9",
    kind: Annotated[
        str, typer.Option(help="score: what an evaluation will show; mean: what the law expects.")
    ] = "score",
    new_family: Annotated[
        list[str],
        typer.Option(help="Family that is new though a known one is called alike; may be repeated."),
    ] = [],  # noqa: B006
    seed: Seed = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Predict scores of models that need not exist yet, with intervals.

    \b
    Example:
      scalebayes predict fit.nc --model llama-3.1-405b --family llama-3.1 \\
          --params 405e9 --tokens 15e12
    """
    import scalebayes as sb
    from scalebayes import tables

    wanted = _models(models, model, family, params, tokens, _factors("--units", [units]))
    loaded = sb.load(fit)
    table = sb.predict(
        loaded, wanted, prob=_probabilities(prob), kind=kind, new_families=new_family, seed=seed,
    )  # type: ignore[arg-type]  # fmt: skip
    for name in table.loc[table["kind"] == "new family", "family"].unique():
        _note(f"the fit has not seen the family {name!r}: it is drawn from the population of families")
    _write_csv(table, csv)
    if json:
        _print_json({"kind": kind, "predictions": table})
        return
    readable = table.drop(columns=["mean", "kind"])
    tables.show(tables.intervals_as_text(readable), group="model")


@app.command()
def summary(fit: Saved, csv: Csv = None, json: Json = False) -> None:
    """Tell what a fit is: law, data, convergence, settings, timings and priors.

    \b
    Example:
      scalebayes summary fit.nc
    """
    import pandas as pd

    import scalebayes as sb
    from scalebayes import tables

    about = _about(sb.load(fit))
    rows = pd.DataFrame(
        [(part, str(k), _short(v)) for part, facts in about.items() if part != "priors"
         for k, v in facts.items()],
        columns=["part", "name", "value"],
    )  # fmt: skip
    priors = pd.DataFrame(about["priors"])
    of_priors = pd.DataFrame({"part": "prior", "name": priors["name"], "value": priors["prior"]})
    _write_csv(pd.concat([rows, of_priors]), csv)
    if json:
        _print_json(about)
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
    """Show what the skills of a Sloth fit are: loadings, skills of models and families.

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
            name = f"{name}, the {len(best)} strongest of {table[label].nunique()} in the first skill"
        if len(shown):
            shown = shown.drop(columns=["mean", "sd"])
            tables.show(tables.intervals_as_text(shown), title=name, group=str(shown.columns[0]))
            print()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; bad input ends it with one line on stderr and exit code 2."""
    warnings.showwarning = _show_warning
    for chatter in (DeprecationWarning, FutureWarning):
        warnings.simplefilter("ignore", chatter)
    # typer carries click inside in some versions and depends on it in others
    usage_errors = tuple(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    try:
        code = app(arguments, standalone_mode=False, prog_name="scalebayes")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("interrupted", 130)
    except usage_errors as error:
        code = _usage_error(error)
    except (OSError, TypeError, ValueError) as error:
        if os.environ.get("SCALEBAYES_TRACEBACK"):
            raise
        code = _fail(str(error), BAD_INPUT)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> int:
    print(f"error: {_one_line(message)}", file=sys.stderr)
    return code


def _usage_error(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return BAD_INPUT
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "scalebayes"
    return _fail(f"{error.format_message().rstrip('.')}: see {path} --help", BAD_INPUT)


def _one_line(message: str) -> str:
    """A message of the library as one line, its remedies in words of the shell."""
    message = re.sub(r":\n\s*", ": ", message.strip())
    message = re.sub(r"\s*\n\s*", "; ", message)
    for pattern, replacement in (
        (r"\{'(\w+)': ([^}]+)\}", r"\1=\2"),
        (r"\bunits=", "--units "),
        (r"\bnew_families=\['([^']*)'\]", r"--new-family '\1'"),
        (r"\btokens=None", "--tokens-col none"),
        (r"\bextra='ignore'", "a file without them"),
    ):
        message = re.sub(pattern, replacement, message)
    return message


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"warning: {_one_line(str(message))}", file=sys.stderr)


def _note(message: str) -> None:
    print(message, file=sys.stderr)


def _progress(json: bool) -> bool:
    """Whether to draw a progress bar, which goes to stdout."""
    return sys.stdout.isatty() and not json


def _law(name: str, skills: int | None) -> Law:
    from scalebayes.laws import LAWS
    from scalebayes.rules import quoted, suggestion

    known = {re.sub(r"(?<!^)(?=[A-Z])", "-", law).lower(): law for law in LAWS}
    if name not in known:
        raise ValueError(
            f"there is no law {name!r}"
            + (suggestion(name, known) or f": the laws are {quoted(known)}")
        )
    made = LAWS[known[name]]
    if skills is None:
        return made()
    if "skills" not in {f.name for f in dataclasses.fields(made)}:
        raise ValueError(f"--skills is for laws with skills, and {name} has none: leave it out")
    return made(skills=skills)


def _observations(
    table: str,
    benchmarks: str,
    names: dict[str, str],
    units: dict[str, float],
    chance: dict[str, float],
    items: dict[str, float],
) -> Observations:
    """Observations from the bundled table or a wide CSV file, with what is known of its benchmarks."""
    import scalebayes as sb
    from scalebayes.csv_files import read_csv

    listed = [name.strip() for name in benchmarks.split(",") if name.strip()]
    if table == "open_llm":
        if units or chance or items:
            raise ValueError("open_llm has its own facts: leave out --units, --chance and --items")
        bundled = sb.datasets.open_llm()
        return bundled.only(benchmarks=listed) if listed and listed != ["all"] else bundled
    columns: dict[str, Any] = {
        ours: None if ours == "tokens" and theirs == "none" else theirs
        for ours, theirs in names.items()
    }
    raw = read_csv(table)
    others = [c for c in raw.columns if c not in columns.values()]
    if not listed:
        raise ValueError(
            f"name the columns of {table} that hold scores: --benchmarks a,b, or --benchmarks all "
            f"for all numeric ones of {', '.join(others)}"
        )
    if listed == ["all"]:
        listed = _numeric(raw, others)
    known_chance, known_items = _facts(listed, chance, items)
    return sb.Observations.from_wide(
        table, benchmarks=listed, units=units, chance=known_chance, items=known_items,
        extra="ignore", **columns,
    )  # fmt: skip


def _numeric(raw: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """Columns whose filled cells are all numbers, and not all empty."""
    import pandas as pd

    found = []
    for name in columns:
        cells = raw[name].str.strip().replace("", None).dropna()
        if len(cells) and pd.to_numeric(cells, errors="coerce").notna().all():
            found.append(name)
    if not found:
        raise ValueError("--benchmarks all found no numeric column beside those of the models")
    _note(f"benchmarks: {', '.join(found)}")
    return found


def _facts(
    benchmarks: Sequence[str], chance: dict[str, float], items: dict[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Chance levels and item counts: the user's, else those of the benchmark of that name."""
    from scalebayes.datasets import benchmark_facts

    def plain(name: str) -> str:
        return re.sub(r"[^a-z0-9]+", "_", name.lower())

    facts = benchmark_facts().set_index("benchmark")
    chance, items = dict(chance), dict(items)
    for name in benchmarks:
        said = []
        fact = facts.loc[plain(name)] if plain(name) in facts.index else None
        for what, given, column in (("chance", chance, "chance"), ("items", items, "n_items")):
            if name in given:
                said.append(f"{what} {given[name]:g} (given)")
            elif fact is not None:
                given[name] = float(fact[column])
                said.append(f"{what} {given[name]:g} (looked up)")
            else:
                said.append(f"{what} unknown, give it with --{what} {name}=...")
        _note(f"{name}: {', '.join(said)}")
    return chance, items


def _factors(option: str, texts: Iterable[str]) -> dict[str, float]:
    """Parse name=number pairs, given apart or joined by commas."""
    found: dict[str, float] = {}
    for pair in (p.strip() for text in texts for p in text.split(",") if p.strip()):
        name, _, number = pair.rpartition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            name = ""
        if not name.strip():
            raise ValueError(
                f"{option} expects name=number, such as "
                f"{'params=1e9,tokens=1e12' if option == '--units' else 'mmlu=0.25'}, got {pair!r}"
            )
    return found


def _probabilities(text: str) -> list[float]:
    try:
        return [float(p) for p in text.split(",") if p.strip()]
    except ValueError:
        raise ValueError(f"--prob expects numbers such as 0.5,0.9, got {text!r}") from None


def _models(
    path: Path | None,
    model: str | None,
    family: str | None,
    params: float | None,
    tokens: float | None,
    units: dict[str, float],
) -> pd.DataFrame:
    """Models to predict, from a file or from the options for a single one."""
    import pandas as pd

    from scalebayes.observations import Observations

    single = {"model": model, "family": family, "params": params}
    given = [f"--{k}" for k, v in {**single, "tokens": tokens}.items() if v is not None]
    if path is not None:
        if given:
            raise ValueError(f"give either --models or a single model, not --models and {given[0]}")
        return Observations.from_long(path, units=units).models
    if missing := [f"--{k}" for k, v in single.items() if v is None]:
        raise ValueError(
            f"a single model needs --model, --family and --params: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing (or give a file with --models)"
        )
    return Observations.from_long(pd.DataFrame([{**single, "tokens": tokens}]), units=units).models


def _verdict(fit: Fit) -> dict[str, Any]:
    return {"converged": fit.verdict.passed, **dataclasses.asdict(fit.verdict)}


def _headline(fit: Fit) -> str:
    """The verdict without its remedies, which are on stderr as warnings, and the time it took."""
    seconds = fit.provenance["seconds"]
    return f"{str(fit.verdict).splitlines()[0]}; {sum(seconds.values()):.0f} s"


def _about(fit: Fit) -> dict[str, Any]:
    """Everything about a fit that a summary tells, as values ready for JSON."""
    import scalebayes as sb
    from scalebayes.laws.law import specification

    spec = specification(fit.law)
    priors = pd_priors = sb.priors(fit.law)
    choices = {k: v for k, v in spec["fields"].items() if k not in {p[0] for p in pd_priors}}
    seen = fit.observations
    return {
        "law": {"name": spec["law"], **choices},
        "data": {
            "models": len(seen.models),
            "families": len(seen.families),
            "benchmarks": list(seen.benchmarks),
            "scores": len(seen.scores),
            "held_out": list(fit.held_out),
        },
        "verdict": _verdict(fit),
        "settings": fit.provenance["settings"],
        "seconds": fit.provenance["seconds"],
        "versions": fit.provenance["versions"],
        "priors": [{"name": n, "prior": d, "reason": r} for n, d, r in priors],
    }


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _print_held_out(table: pd.DataFrame, found: dict[str, Any]) -> None:
    """Intervals beside scores, and the share of scores inside."""
    from scalebayes import tables

    scored = table[table["observed"].notna()]
    readable = scored[["model", "benchmark", "observed", "median", "lower_90", "upper_90"]]
    shown = tables.intervals_as_text(readable).rename(columns={"observed": "score"})
    shown["inside"] = ["yes" if inside else "NO" for inside in scored["inside_90"]]
    tables.show(shown, group="model")
    print(
        f"\n{found['scores']} scores of {found['models']} held-out models: "
        f"{found['coverage_90']:.0%} inside the 90% interval, "
        f"{found['coverage_50']:.0%} inside the 50% interval, "
        f"mean absolute error {100 * found['mean_absolute_error']:.1f} points"
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
