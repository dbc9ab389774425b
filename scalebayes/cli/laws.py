"""Laws by their names in the shell, and the verb that lists them: `laws`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalebayes.cli.common import Json, print_json
from scalebayes.cli.options import pairs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scalebayes.model.law import Law


def laws(
    law: Annotated[
        str | None,
        typer.Argument(metavar="LAW", help="Show the choices and priors of this law."),
    ] = None,
    json: Json = False,
) -> None:
    """List the laws, or the choices and priors of one law.

    \b
    Example:
      scalebayes laws
      scalebayes laws sloth
    """
    import inspect

    import pandas as pd

    import scalebayes as sb
    from scalebayes.report import tables

    if law is None:
        rows = [
            (name, (inspect.getdoc(known) or "").partition("\n")[0])
            for name, known in installed().items()
        ]
        found = {"laws": pd.DataFrame(rows, columns=["law", "what it is"])}
    else:
        made = make(law)
        fields = [
            (name, in_shell(getattr(made, name)), allowed(kind))
            for name, kind in choices_of(type(made)).items()
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


def installed() -> dict[str, type[Law]]:
    """All laws by their names in the shell, such as size-and-tokens, in alphabetical order."""
    from scalebayes.laws import by_name

    return dict(sorted((shell_name(name), law) for name, law in by_name().items()))


def shell_name(name: str) -> str:
    """The name of a class in the shell: words in lower case, joined by hyphens."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def make(name: str, choices: Iterable[str] = (), covariates: Iterable[str] = ()) -> Law:
    """Make a law.

    Args:
        name: Its name in the shell.
        choices: Its choices, as texts CHOICE=VALUE.
        covariates: Names of the covariates that it uses.

    Raises:
        ValueError: If there is no such law or choice, or a value is not allowed.
    """
    from scalebayes.data.schema import quoted, suggestion

    known = installed()
    if name not in known:
        raise ValueError(
            f"there is no law {name!r}"
            + (suggestion(name, known) or f": the laws are {quoted(known)}")
        )
    fields, found = choices_of(known[name]), {}
    for pair, choice, text in pairs(choices):
        if not choice:
            raise ValueError(f"--set expects CHOICE=VALUE, such as skills=3, got {pair!r}")
        if choice not in fields:
            raise ValueError(
                f"--set {pair}: {name} has no choice {choice!r}"
                + (suggestion(choice, fields) or f", its choices are {quoted(fields)}")
            )
        found[choice] = _value(pair, text, fields[choice])
    return known[name](covariates=tuple(covariates), **found)


def choices_of(law: type[Law]) -> dict[str, Any]:
    """The choices of a law and their types: its fields other than priors and covariates."""
    import dataclasses
    from typing import get_type_hints

    types = get_type_hints(law)
    return {
        f.name: types[f.name]
        for f in dataclasses.fields(law)
        if "reason" not in f.metadata and f.name != "covariates"
    }


def allowed(kind: Any) -> str:
    """The allowed values of a choice of this type."""
    from typing import get_args

    named = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}
    return named.get(kind) or ", ".join(map(str, get_args(kind))) or str(kind)


def in_shell(value: Any) -> str:
    """The value of a choice as it is written after --set."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(pair: str, text: str, kind: Any) -> Any:
    """The value of a choice in the type of its field."""
    from typing import get_args

    if kind is bool and text in ("true", "false"):
        return text == "true"
    try:
        if kind in (int, float):
            return kind(text)
    except ValueError:
        pass
    else:
        if kind is str or text in get_args(kind):
            return text
    raise ValueError(f"--set {pair}: expected {allowed(kind)}, got {text!r}")
