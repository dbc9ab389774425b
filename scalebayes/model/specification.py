"""Registered laws, and specifications from which a law is rebuilt."""

from __future__ import annotations

import dataclasses
import inspect
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from numpyro import distributions as dist

from scalebayes.model.law import Law, arguments
from scalebayes.model.sites import Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = "scalebayes.law/1"

LawClass = TypeVar("LawClass", bound=type[Law])

_REGISTERED: dict[str, type[Law]] = {}


def register(law: LawClass) -> LawClass:
    """Register a law by the name of its class, for `load` and the command line; a class decorator.

    Raises:
        ValueError: If another law has this name.

    Returns:
        The class.

    Example:
        Used as a decorator, `@sb.register`. Registering the same class again has no effect.

        >>> sb.register(sb.Sloth) is sb.Sloth
        True
    """
    known = _REGISTERED.get(law.__name__)
    if known is not None and (known.__module__, known.__qualname__) != (
        law.__module__,
        law.__qualname__,
    ):
        raise ValueError(
            f"the name {law.__name__} belongs to a law in {known.__module__}: give your law another name"
        )
    _REGISTERED[law.__name__] = law
    return law


def registered() -> dict[str, type[Law]]:
    """The laws registered so far, by name; `laws.by_name` also imports the installed ones."""
    return dict(_REGISTERED)


def specification(law: Law) -> dict[str, Any]:
    """A law as JSON-ready values; `from_specification` is the inverse."""
    fields = {}
    for f in dataclasses.fields(law):
        value = getattr(law, f.name)
        if isinstance(value, dist.Distribution):
            value = {"distribution": type(value).__name__, "arguments": arguments(value)}
        fields[f.name] = list(value) if isinstance(value, tuple) else value
    own = type(law)
    return {
        "schema": SCHEMA,
        "law": own.__name__,
        "module": own.__module__,
        "fields": fields,
    }


def from_specification(
    spec: Mapping[str, Any], known: Mapping[str, type[Law]], given: Iterable[type[Law]] = ()
) -> Law:
    """Rebuild the law that a specification describes.

    Args:
        spec: The result of `specification`.
        known: Registered laws by name.
        given: Classes of laws that take precedence, whatever module they were defined in.

    Raises:
        ValueError: If the law or the schema is unknown; the message says how to provide the law.
    """
    name, module = spec.get("law"), spec.get("module", "scalebayes")
    own = {law.__name__: law for law in given}
    found = own.get(str(name)) or known.get(str(name))
    if found is not None and name not in own and _package(found.__module__) != _package(module):
        found = None  # another law of the same name
    if spec.get("schema") != SCHEMA or found is None:
        raise ValueError(
            f"cannot read law {name!r} of schema {spec.get('schema')!r}, defined in {module}: this version knows "
            f"{', '.join(known)} of schema {SCHEMA}. If {name} is a law of your own, pass its class, "
            f"load(path, laws=[{name}]), or register it before loading with @scalebayes.register; a newer "
            "scalebayes may read others"
        )
    return found(**{k: _restored(v) for k, v in spec["fields"].items()})


def own_code(law: Law) -> list[str]:
    """Compiled methods and plain attributes of a law's classes that are not of this package, as text.

    With the functions and plain values of their modules that the methods use. The source would not do: that of a
    class written in a notebook cannot be read.
    """
    found: list[str] = []
    for cls in type(law).__mro__:
        if _package(cls.__module__) in ("scalebayes", "builtins"):
            continue
        for name, member in sorted(vars(cls).items()):
            if isinstance(member, PLAIN) and not name.startswith("__"):
                found.append(repr((name, member)))
            for attribute in ("__func__", "fget", "func"):  # class methods, properties, cached ones
                member = getattr(member, attribute, member)
            if inspect.isfunction(member):
                _add_function(member, found)
    return found


PLAIN = (bool, int, float, str, tuple, Site)
"""Types whose text tells all that they are."""


def _add_function(function: FunctionType, found: list[str]) -> None:
    """Add a function, and those of its module that it uses, unless they are there already."""
    text = repr((function.__qualname__, _compiled(function.__code__)))
    if text in found:
        return
    found.append(text)
    used = inspect.getclosurevars(function)
    for name, value in sorted({**used.globals, **used.nonlocals}.items()):
        if isinstance(value, PLAIN):
            found.append(repr((name, value)))
        elif inspect.isfunction(value) and value.__module__ == function.__module__:
            _add_function(value, found)


def _compiled(code: CodeType) -> tuple[Any, ...]:
    """Instructions, names and constants of compiled code, without the places of its lines."""
    constants = [
        _compiled(c)
        if isinstance(c, CodeType)
        else sorted(map(repr, c))  # the order of a set differs between processes
        if isinstance(c, frozenset)
        else c
        for c in code.co_consts
    ]
    return code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, constants


def _package(module: str) -> str:
    return module.partition(".")[0]


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return getattr(dist, value["distribution"])(**value["arguments"])
    return tuple(value) if isinstance(value, list) else value
