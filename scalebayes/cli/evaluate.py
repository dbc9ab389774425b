"""The verbs that show and judge fits: `report`, `plot` and `compare`."""

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
    print_json,
    shows_progress,
    write_csv,
)

if TYPE_CHECKING:
    from scalebayes.evaluation.comparison import By, Method


def report(
    fit: Saved,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path(
        "report.html"
    ),
    models: Annotated[
        Path | None,
        typer.Option(metavar="MODELS.csv", help="Models to predict on the page, as for `predict`."),
    ] = None,
    units: Units = "",
    new_family: NewFamily = [],  # noqa: B006
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write one HTML page about a fit, complete in itself: verdict, predictions, calibration, priors.

    \b
    Example:
      scalebayes report fit.nc -o report.html --models planned.csv
    """
    import scalebayes as sb
    from scalebayes.cli import options
    from scalebayes.report.summary import verdict

    factors = options.factors("--units", [units])
    loaded = sb.load(fit)
    asked = None if models is None else options.models_from(models, factors, loaded)
    note("writing the page (half a minute)")
    sb.write_report(loaded, out, models=asked, new_families=new_family, title=title, seed=seed)
    if json:
        size = out.stat().st_size
        print_json({"file": str(out), "bytes": size, "verdict": verdict(loaded)})
        return
    print(f"report: {out}")


def plot(
    fit: Saved,
    kind: Annotated[
        str,
        typer.Option(
            help="intervals: predictions beside held-out scores; calibration: how these came out; "
            "curves: along training compute; skills: what they load on (sloth); identifiability: "
            "posteriors beside their priors."
        ),
    ] = "intervals",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", callback=picture_file, help="Picture to write; by default KIND.png."
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw a picture of a fit, as PNG, SVG or PDF, and say what it shows.

    \b
    Example:
      scalebayes plot fit.nc --kind calibration --out calibration.svg
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    import scalebayes as sb
    from scalebayes.report.figures import picture

    mpl.use("Agg")

    path = out or Path(f"{kind}.png")
    drawn = picture(sb.load(fit), kind, seed=seed)
    drawn.figure.savefig(path, dpi=150)
    plt.close(drawn.figure)
    if json:
        print_json({"file": str(path), "kind": kind, "shows": drawn.shows})
        return
    print(f"{drawn.shows}\npicture: {path}")


def compare(
    fits: Annotated[
        list[str],
        typer.Argument(
            metavar="FIT.nc", help="Fits to the same scores; NAME=FIT.nc names one anew."
        ),
    ],
    by: Annotated[
        str,
        typer.Option(help="What is left out at a time: larger (models), family, model or score."),
    ] = "larger",
    keep: Annotated[
        str, typer.Option(help="For larger: how many sizes of a family stay, one refit each.")
    ] = "1,2",
    method: Annotated[
        str, typer.Option(help="How weights are made: pseudo-bma, or stacking, which spreads them.")
    ] = "pseudo-bma",
    folder: Annotated[
        Path | None,
        typer.Option(help="Where finished refits are kept; an interrupted run goes on there."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Refits at once, in processes; -1: one a core.")] = 1,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Compare fitted laws by how well they predict what they have not seen; best first.

    elpd is the sum of log predictive densities, elpd_diff how much lower it is than the best one's and
    dse the standard error of that over the pieces left out, mcse the Monte Carlo error of elpd; weight
    is the law's share in an average of them. warning: some density cannot be told from so few draws;
    failed: refits that do not pass their checks.

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
        print_json({"by": by, **told})
        return
    tables.show(table.drop(columns=["rank", "p", "se"]))  # which a narrow terminal has no room for
