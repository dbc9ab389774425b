"""The verb that lists the laws: `laws`."""

from __future__ import annotations

from typing import Annotated

import typer

from scalebayes.cli.common import Json, print_json


def laws(
    law: Annotated[
        str | None,
        typer.Argument(metavar="LAW", help="A law, of which to list choices and priors."),
    ] = None,
    json: Json = False,
) -> None:
    """List the laws that can be fitted, or the choices and priors of one.

    \b
    Example:
      scalebayes laws
      scalebayes laws sloth
    """
    import inspect

    import pandas as pd

    import scalebayes as sb
    from scalebayes.cli import options
    from scalebayes.report import tables

    if law is None:
        rows = [
            (name, (inspect.getdoc(made) or "").partition("\n")[0])
            for name, made in options.laws().items()
        ]
        found = {"laws": pd.DataFrame(rows, columns=["law", "what it is"])}
    else:
        made = options.law(law)
        fields = [
            (name, str(getattr(made, name)), options.allowed(kind))
            for name, kind in options.choices_of(type(made)).items()
        ]
        found = {
            "choices": pd.DataFrame(fields, columns=["choice", "default", "allowed"]),
            "priors": pd.DataFrame(sb.priors(made), columns=["parameter", "prior", "reason"]),
        }
    if json:
        print_json(found)
        return
    for title, table in found.items():
        tables.show(table, title="" if law is None else title)
        print()
