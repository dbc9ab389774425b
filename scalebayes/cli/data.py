"""The verb that downloads public data sets: `data get`."""

from __future__ import annotations

from typing import Annotated

import typer

from scalebayes.cli.common import Json, print_json


def get(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="sloth, olmo-ladder, gadre or regmix.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Server with the files at repository/commit/path; by default that of the variable "
            "SCALEBAYES_MIRROR, or GitHub.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Download even if the tables exist.")
    ] = False,
    json: Json = False,
) -> None:
    """Download a public data set and convert it into tables.

    The tables go to the folder in the variable SCALEBAYES_DATA, or to the user's cache. Nothing is
    downloaded if they exist.

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
        print_json({"folder": str(folder), "files": tables.files, **counts, **origin})
        return
    print(held)
    print(f"tables: {', '.join(str(folder / file) for file in tables.files)}")
    print(f"source: {about['repository']} at {about['commit'][:7]}, {about['licence']} licence")
