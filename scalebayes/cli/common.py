"""Options that verbs share, and what they print: tables and JSON on stdout, notes on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from scalebayes.evaluation.predictions import HeldOut

Seed = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]
Draws = Annotated[int, typer.Option(min=1, help="Draws kept per chain.")]
Warmup = Annotated[int, typer.Option(min=1, help="Adapting iterations per chain, not kept.")]
Chains = Annotated[int, typer.Option(min=1, help="Chains, run in parallel over the cores.")]
FORMATS = (".png", ".svg", ".pdf")


def in_folder(path: Path | None) -> Path | None:
    """Refuse a file in a folder that is not there, before any work is done for it."""
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"{path}: there is no folder {path.parent}")
    return path


def picture_file(path: Path | None) -> Path | None:
    """Refuse a picture that cannot be drawn, before any work is done for it."""
    if path is not None and path.suffix not in FORMATS:
        raise typer.BadParameter(f"expects a name that ends in {', '.join(FORMATS)}, got {path}")
    return in_folder(path)


Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", callback=in_folder, help="Write the table to this file as well."),
]
Units = Annotated[
    str, typer.Option(help="Factors to counts, such as params=1e9,tokens=1e12 (score=0.01 for %).")
]
NewFamily = Annotated[
    list[str],
    typer.Option(help="New family with a name like a known one's; may be repeated."),
]
Covariates = Annotated[
    list[str],
    typer.Option(
        metavar="NAME=VALUE",
        help="Covariate of the model, else that of its family's largest; may be repeated.",
    ),
]
Saved = Annotated[Path, typer.Argument(metavar="FIT.nc", help="A fit that `fit` has written.")]


def note(message: str) -> None:
    """Tell the user something that is not the answer."""
    typer.echo(message, err=True)


def shows_progress(json: bool) -> bool:
    """Whether to draw a progress bar, which goes to standard error."""
    return sys.stderr.isatty() and not json


def write_csv(table: pd.DataFrame, path: Path | None) -> None:
    """Write a table to a file, if one is named."""
    if path is not None:
        table.to_csv(path, index=False)
        note(f"wrote {path}")


def print_json(value: dict[str, Any]) -> None:
    """Print values as JSON."""
    from scalebayes.report.tables import to_json

    print(to_json(value))


def judged(held: HeldOut) -> pd.DataFrame:
    """The table of `scoring.scores`, with the kind of each family as `predict` names it."""
    from scalebayes.evaluation import scoring

    table = scoring.scores(held)
    kind = table["family_size"].map(lambda n: "known family" if n else "new family")
    return table.assign(kind=kind)


def print_held_out(table: pd.DataFrame) -> None:
    """Print intervals beside observed scores, or losses, and the share that is inside."""
    from scalebayes.data.validation import plural
    from scalebayes.evaluation import scoring
    from scalebayes.report import tables

    column, of = ("benchmark", "score") if "benchmark" in table else ("domain", "loss")
    readable = table[["model", column, "observed", "median", "lower_90", "upper_90"]]
    shown = tables.intervals_as_text(readable).rename(columns={"observed": of})
    shown["inside"] = ["yes" if inside else "NO" for inside in table["inside_90"]]
    tables.show(shown, group="model")
    found = scoring.figures(table).iloc[0]
    size = f"{found['error']:.1f} points" if of == "score" else f"{found['error']:.3f}"
    count = plural(len(table), of, "losses" if of == "loss" else "")
    print(
        f"\n{count} of {plural(int(found['models']), 'held-out model')}: "
        f"{found['coverage_90']:.0%} inside the 90% interval, "
        f"{found['coverage_50']:.0%} inside the 50% interval, "
        f"mean absolute error {size}"
    )
