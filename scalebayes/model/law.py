"""What every law is: structural choices and priors, and a generative story told to NumPyro."""

from __future__ import annotations

import dataclasses
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from numpyro import distributions as dist

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from scalebayes.model.design import Design

SCHEMA = "scalebayes.law/1"


@runtime_checkable
class Law(Protocol):
    """A frozen dataclass whose fields are structural choices and priors.

    Calling it on a `Design` tells the generative story. It must register the observed scores at the site `score`
    (one dimension, `score_obs`; a `likelihoods.Noisy`) and the deterministic `mu` (model, benchmark), the expected
    scores. It may name in `even` the sites of which every value alone may change its sign and leave the density
    the same.
    """

    @property
    def dims(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the dimensions of every site, in order."""

    def __call__(self, design: Design) -> None:
        """Tell the generative story."""

    def coords(self) -> dict[str, list[str]]:
        """Labels of the dimensions that the law brings itself, such as `skill`."""

    def reflection(self, design: Design) -> dict[str, np.ndarray]:
        """Signs by site, 1 or -1, under which the density stays the same; empty where there are none."""


def prior(make: Callable[[], dist.Distribution], reason: str) -> Any:
    """Dataclass field of a prior with the reason for it.

    The distribution is made when a law is, not at import, since making one starts a JAX backend.
    """
    return dataclasses.field(default_factory=make, metadata={"reason": reason})


def priors(law: Law) -> list[tuple[str, str, str]]:
    """Name, distribution and reason of every prior of a law, those of choices not taken too."""
    return [
        (f.name, describe(getattr(law, f.name)), f.metadata["reason"])
        for f in dataclasses.fields(law)  # type: ignore[arg-type]
        if "reason" in f.metadata
    ]


def check(law: Law) -> None:
    """Refuse what a law's fields do not allow.

    Raises:
        ValueError: If a choice is not one of its field's, or a prior cannot be written down and read again.
    """
    types = get_type_hints(type(law))
    for f in dataclasses.fields(law):  # type: ignore[arg-type]
        value = getattr(law, f.name)
        allowed = get_args(types[f.name]) if get_origin(types[f.name]) is Literal else ()
        if allowed and value not in allowed:
            raise ValueError(f"{f.name} must be one of {', '.join(allowed)}, but is {value!r}")
        if types[f.name] in (bool, int) and type(value) is not types[f.name]:
            raise ValueError(f"{f.name} must be of type {types[f.name].__name__}, but is {value!r}")
        if isinstance(value, dist.Distribution):
            try:
                type(value)(**_arguments(value))
            except TypeError as error:
                raise ValueError(
                    f"the prior of {f.name} is a {type(value).__name__}, which is not made from its "
                    "parameters alone: take another distribution"
                ) from error


def describe(prior: dist.Distribution | None) -> str:
    """A distribution as one would write it, such as Normal(0, 1); none where the data decide."""
    if prior is None:
        return "none"
    values = _arguments(prior).values()
    return f"{type(prior).__name__}({', '.join(f'{v:g}' for v in values)})"


def specification(law: Law) -> dict[str, Any]:
    """Everything that makes a law, as JSON-ready values; `from_specification` is its inverse."""
    fields = {}
    for f in dataclasses.fields(law):  # type: ignore[arg-type]
        value = getattr(law, f.name)
        if isinstance(value, dist.Distribution):
            value = {"distribution": type(value).__name__, "arguments": _arguments(value)}
        fields[f.name] = value
    return {"schema": SCHEMA, "law": type(law).__name__, "fields": fields}


def from_specification(spec: Mapping[str, Any], laws: Mapping[str, type]) -> Law:
    """Make the law that a specification describes.

    Args:
        spec: What `specification` gave.
        laws: The known laws by name.

    Raises:
        ValueError: If the law or the schema is not known here.
    """
    if spec.get("schema") != SCHEMA or spec.get("law") not in laws:
        raise ValueError(
            f"cannot read law {spec.get('law')!r} of schema {spec.get('schema')!r}: this version knows "
            f"{', '.join(laws)} of schema {SCHEMA}; a newer scalebayes may read it"
        )
    fields = {
        name: getattr(dist, value["distribution"])(**value["arguments"])
        if isinstance(value, dict)
        else value
        for name, value in spec["fields"].items()
    }
    return laws[spec["law"]](**fields)


def _arguments(prior: dist.Distribution) -> dict[str, float]:
    arguments = {}
    for name in prior.arg_constraints:
        value = getattr(prior, name, None)
        if value is None:
            continue
        if getattr(value, "ndim", 0):
            raise ValueError(
                f"a prior must be a scalar distribution, but {type(prior).__name__} has {name} = {value}"
            )
        arguments[name] = float(value)
    return arguments
