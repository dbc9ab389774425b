"""Laws by name: registered classes, and specifications from which a law is made again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from numpyro import distributions as dist

from scalebayes.model.law import Law, arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = "scalebayes.law/1"

LawClass = TypeVar("LawClass", bound=type[Law])

_REGISTERED: dict[str, type[Law]] = {}


def register(law: LawClass) -> LawClass:
    """Make a law known by the name of its class to `load` and to the command line; a decorator.

    Raises:
        ValueError: If another law has that name already.
    """
    known = _REGISTERED.get(law.__name__)
    if known is not None and (known.__module__, known.__qualname__) != (
        law.__module__,
        law.__qualname__,
    ):
        raise ValueError(
            f"there is a law {law.__name__} in {known.__module__} already: give yours another name"
        )
    _REGISTERED[law.__name__] = law
    return law


def registered() -> dict[str, type[Law]]:
    """The laws that were registered so far, by name; `laws.by_name` has all that are installed."""
    return dict(_REGISTERED)


def specification(law: Law) -> dict[str, Any]:
    """Everything that makes a law, as JSON-ready values; `from_specification` is the inverse."""
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
    """Make the law that a specification describes.

    Args:
        spec: What `specification` returned.
        known: Registered laws by name.
        given: Classes of laws that come first, whatever module they were defined in.

    Raises:
        ValueError: If the law or the schema is not known; the message says how to provide the law.
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


def _package(module: str) -> str:
    return module.partition(".")[0]


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return getattr(dist, value["distribution"])(**value["arguments"])
    return tuple(value) if isinstance(value, list) else value
