"""The verbs that show and compare fits: `report`, `plot` and `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from scalebayes.cli.common import (
    Csv,
    Json,
    NewFamily,
    Saved,
    Seed,
    Units,
    note,
    picture_file,
    print_answer,
    shows_progress,
    write_csv,
)

if TYPE_CHECKING:
    from scalebayes.evaluation.comparison import By, Method
    from scalebayes.prediction.designs import Quantity


def report(
    fit: Saved,
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path(
        "report.html"
    ),
    models: Annotated[
        Path | None,
        typer.Option(metavar="MODELS.csv", help="Models to predict, as for `predict`."),
    ] = None,
    units: Units = "",
    new_family: NewFamily = [],  # noqa: B006
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write a self-contained HTML report on a fit.

    It has convergence checks, predictions, calibration, what the data identify, priors and provenance.

    \b
    Example:
      scalebayes report fit.nc -o report.html --models planned.csv
    """
    import scalebayes as sb
    from scalebayes.cli import inputs, options
    from scalebayes.report.summary import verdict

    factors = options.factors("--units", [units])
    loaded = sb.load(fit)
    asked = None if models is None else inputs.models_from(models, factors, loaded)
    note("writing the page (about half a minute)")
    sb.write_report(loaded, out, models=asked, new_families=new_family, title=title, seed=seed)
    if json:
        size = out.stat().st_size
        print_answer(loaded, {"file": str(out), "bytes": size, "verdict": verdict(loaded)})
        return
    print(f"report: {out}")


def plot(
    fit: Saved,
    kind: Annotated[
        str,
        typer.Option(
            help="intervals: predictions and held-out scores; calibration: of these predictions; "
            "curves: along training compute; skills: loadings (sloth); identifiability: "
            "priors and posteriors."
        ),
    ] = "intervals",
    of: Annotated[
        str,
        typer.Option(
            help="score or loss, for intervals, calibration and curves; by default scores if there are any."
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", callback=picture_file, help="File to write; by default KIND.png."
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw a picture of a fit, and describe it in words.

    \b
    Example:
      scalebayes plot fit.nc --kind calibration --out calibration.svg
      scalebayes plot ladder.nc --kind intervals --of loss
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    import scalebayes as sb
    from scalebayes.report.figures import picture

    mpl.use("Agg")

    path = out or Path(f"{kind}.png")
    loaded = sb.load(fit)
    drawn = picture(loaded, kind, of=cast("Quantity | None", of or None), seed=seed)
    drawn.figure.savefig(path, dpi=150)
    plt.close(drawn.figure)
    if json:
        print_answer(loaded, {"file": str(path), "kind": kind, "shows": drawn.shows})
        return
    print(f"{drawn.shows}\npicture: {path}")


def compare(
    fits: Annotated[
        list[str],
        typer.Argument(metavar="FIT.nc", help="Fits to the same scores; NAME=FIT.nc sets a name."),
    ],
    by: Annotated[
        str,
        typer.Option(help="Unit left out at a time: larger (models), family, model or score."),
    ] = "larger",
    keep: Annotated[
        str, typer.Option(help="For larger: numbers of smallest sizes to keep, one refit each.")
    ] = "1,2",
    method: Annotated[
        str, typer.Option(help="Weights of the laws: pseudo-bma or stacking.")
    ] = "pseudo-bma",
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder of finished refits, from which an interrupted run continues."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Refits in parallel; -1: one per core.")] = 1,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Compare laws by cross-validation; the best comes first.

    elpd: sum of log predictive densities of what was left out. elpd_diff: difference from the best law.
    dse: standard error of the difference. mcse: Monte Carlo error of elpd. weight: weight in an average
    of the laws. warning: the Monte Carlo error of some density is too large. failed: refits that fail
    their convergence checks.

    \b
    Example:
      scalebayes compare task=ladder.nc c4=ladder-c4.nc --keep 2,3 --folder folds
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    import scalebayes as sb
    from scalebayes.cli import options
    from scalebayes.report import tables

    paths = options.named_files(fits)
    sizes = options.whole_numbers("--keep", keep)
    loaded = {name: sb.load(path) for name, path in paths.items()}
    note(f"comparing {', '.join(loaded)} by {by}")
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} refits"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shows_progress(json),
    ) as bar:
        tasks = {name: bar.add_task(name, total=None, start=False) for name in loaded}

        def tell(name: str, done: int, total: int) -> None:
            bar.start_task(tasks[name])
            bar.update(tasks[name], completed=done, total=total)

        found = sb.compare(
            loaded,
            by=cast("By", by),
            keep=sizes,
            method=cast("Method", method),
            folder=folder,
            jobs=jobs,
            progress=tell,
        )
    table = found.table.rename_axis("law").reset_index()
    write_csv(table, csv)
    if json:
        told = {"comparison": table, "evidence": found.evidence, "pareto_k": found.pareto_k}
        print_answer(loaded, {"by": by, **told})
        return
    tables.show(table.drop(columns=["rank", "p", "se"]))  # a narrow terminal has no room for these
