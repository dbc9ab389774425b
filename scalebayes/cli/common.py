"""Options and output that verbs share: answers go to standard output, notes to standard error."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from scalebayes.evaluation.predictions import HeldOut
    from scalebayes.inference.posterior import Fit

Seed = Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")]
Draws = Annotated[int, typer.Option(min=1, help="Draws per chain.")]
Warmup = Annotated[int, typer.Option(min=1, help="Warmup iterations per chain.")]
Chains = Annotated[int, typer.Option(min=1, help="Number of chains; they run in parallel.")]
PICTURE_FORMATS = (".png", ".svg", ".pdf")


def in_folder(path: Path | None) -> Path | None:
    """Refuse a file in a folder that does not exist, before any work is done."""
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"{path}: there is no folder {path.parent}")
    return path


def picture_file(path: Path | None) -> Path | None:
    """Refuse a file name that no picture can have, before any work is done."""
    if path is not None and path.suffix not in PICTURE_FORMATS:
        raise typer.BadParameter(
            f"expects a name that ends in {', '.join(PICTURE_FORMATS)}, got {path}"
        )
    return in_folder(path)


Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", callback=in_folder, help="Also write the table to this CSV file."),
]
Units = Annotated[
    str,
    typer.Option(
        help="Units of columns, such as params=1e9,tokens=1e12; score=0.01 for percent, mmlu=0.01 for "
        "percent on one benchmark."
    ),
]
NewFamily = Annotated[
    list[str],
    typer.Option(help="New family whose name resembles a known one; may be repeated."),
]
Covariates = Annotated[
    list[str],
    typer.Option(metavar="NAME=VALUE", help="Covariate of the single model; may be repeated."),
]
FamilyCovariates = Annotated[
    list[str],
    typer.Option(
        metavar="NAME=VALUE",
        help="Covariate of the model, by default that of its family's largest; may be repeated.",
    ),
]
Saved = Annotated[Path, typer.Argument(metavar="FIT.nc", help="File written by `fit`.")]


def note(message: str) -> None:
    """Print a line on standard error."""
    typer.echo(message, err=True)


def shows_progress(json: bool) -> bool:
    """Whether to show a progress bar, on standard error."""
    return sys.stderr.isatty() and not json


def write_csv(table: pd.DataFrame, path: Path | None) -> None:
    """Write a table to a file if there is one."""
    if path is not None:
        table.to_csv(path, index=False)
        note(f"wrote {path}")


def print_json(value: dict[str, Any]) -> None:
    """Print values as JSON."""
    from scalebayes.report.tables import to_json

    print(to_json(value))


def print_answer(fit: Fit | Mapping[str, Fit], value: dict[str, Any]) -> None:
    """Print an answer of a fit, or of several by name, as JSON, headed by whether they have converged.

    The library itself warns of fits that have not, on standard error.
    """
    from scalebayes.prediction.reliability import failures

    found = failures(fit if isinstance(fit, Mapping) else {"": fit})
    print_json({"converged": not found, "failures": found, **value})


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


def print_with_counts(table: pd.DataFrame, title: str = "", group: str = "") -> None:
    """Print a table with counts in three digits and each interval in one column."""
    from scalebayes.report import tables

    large = [c for c in ("flops", "params", "tokens") if c in table]
    text = {c: [f"{v:.3g}" for v in table[c]] for c in large}
    if "quantity" in table:
        levels = [c for c in table.columns if c.startswith(("median", "lower", "upper"))]
        text |= {c: [f"{v:.3g}" for v in table[c]] for c in levels}
        tables.show(table.assign(**text), title=title, group=group)
        return
    tables.show(tables.intervals_as_text(table.assign(**text)), title=title, group=group)


def draw(path: Path, make: Callable[[], Any]) -> None:
    """Draw to a file without opening a window.

    Args:
        path: The picture.
        make: Called to draw, after the backend is chosen; returns axes of the figure.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    make().figure.savefig(path, dpi=110)
    note(f"wrote {path}")
