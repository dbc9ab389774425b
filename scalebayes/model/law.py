"""What every law is: a value with structural choices and priors that tells a generative story to NumPyro."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
from numpyro import distributions as dist

from scalebayes.model.sites import Invariant, Site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalebayes.model.design import Design


class Source(NamedTuple):
    """A publication behind a law."""

    title: str
    url: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Law:
    """Base of all laws: a frozen dataclass whose fields are structural choices and priors.

    Calling a law on a `Design` tells the generative story. It registers the observed scores at the site `score`
    with a `likelihoods.Likelihood`, and the expected scores at the deterministic site `mu`; a law with losses
    registers the logs of the losses at `loss` and their expectations at `log_L`.

    Every site is declared where the law defines it: by the field of its prior (`prior(..., of=site(...))`), or by
    a class attribute of the site's name, `name: ClassVar[Site] = site(...)`. Laws are values: two laws are equal if
    their class and their fields are, so that programs compiled for one serve the other.

    Attributes:
        covariates: Names of the covariates of the observations that the law uses.
        story: The equations, as text that a report shows.
        references: The publications behind the law.
        rotated: Deterministic sites that `invariants` takes beside the sampled ones.
    """

    covariates: tuple[str, ...] = ()

    story: ClassVar[str] = ""
    references: ClassVar[tuple[Source, ...]] = ()
    rotated: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep equality by class and fields: a decorator `dataclass` would compare distributions by identity."""
        super().__init_subclass__(**kwargs)
        cls.__eq__ = Law.__eq__  # type: ignore[method-assign]
        cls.__hash__ = Law.__hash__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        """Refuse choices and priors that a field does not allow."""
        check_fields(self)

    def __eq__(self, other: object) -> bool:
        """Whether both are of one class and have equal fields."""
        return isinstance(other, Law) and self._key == other._key

    def __hash__(self) -> int:
        """A hash of class and fields."""
        return hash(self._key)

    @functools.cached_property
    def _key(self) -> tuple[Any, ...]:
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values = {
            k: (type(v), tuple(arguments(v).items())) if isinstance(v, dist.Distribution) else v
            for k, v in fields.items()
        }
        return (type(self), *values.items())

    def __call__(self, design: Design) -> None:
        """Tell the generative story."""
        raise NotImplementedError(f"{type(self).__name__} tells no story: define __call__(design)")

    @functools.cached_property
    def sites(self) -> dict[str, Site]:
        """Declarations of all sites by name, in the order in which the classes define them."""
        return _sites(type(self))

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Names of the dimensions of every site, in order."""
        return {name: declared.dims for name, declared in self.sites.items()}

    def coords(self) -> dict[str, list[str]]:
        """Labels of the dimensions that the law brings itself, such as `skill`."""
        return {}

    def check(self, design: Design) -> None:
        """Refuse data that the law cannot be fitted to.

        Raises:
            ValueError: Naming what is missing and what to do.
        """

    def reflection(self, design: Design) -> dict[str, np.ndarray]:
        """Signs by site, 1 or -1, under which the density stays the same; empty where there are none."""
        return {}

    def drivers(self, design: Design) -> np.ndarray | None:
        """Position of the one loss domain that drives each benchmark, shape (benchmark,).

        None where the law has no losses, or several drive one benchmark.
        """
        return None

    def invariants(
        self, values: Mapping[str, np.ndarray], posterior: Mapping[str, np.ndarray], design: Design
    ) -> list[Invariant]:
        """What the data can identify of the law's sites, from draws of these.

        Args:
            values: Unconstrained draws of the sampled sites, and draws of the sites in `rotated`, each (draw, ...):
                from the prior or from the posterior.
            posterior: The same from the posterior, for what is taken relative to it.
            design: The data, for labels.
        """
        return [
            Invariant(
                name,
                np.log(np.abs(values[name])) if declared.even else values[name],
                declared,
                (name,),
            )
            for name, declared in self.sites.items()
            if name in values and name not in self.rotated
        ]


def _sites(law: type[Law]) -> dict[str, Site]:
    found: dict[str, Site] = {}
    fields = {f.name: f for f in dataclasses.fields(law)}
    for cls in reversed(law.__mro__):
        # annotations keep the order of definition, attributes without one come last
        for name in dict.fromkeys([*inspect.get_annotations(cls), *vars(cls)]):
            declared = vars(cls).get(name)
            if name in fields and name in inspect.get_annotations(cls):
                declared = fields[name].metadata.get("site")
            if isinstance(declared, Site):
                found[name] = declared
    return found


def priors(law: Law) -> list[tuple[str, str, str]]:
    """List name, distribution and reason of every prior of a law, those of choices not taken too.

    Example:
        >>> import scalebayes as sb
        >>> sb.priors(sb.Sloth())[0][:2]
        ('gamma', 'none')
    """
    return [
        (f.name, describe(getattr(law, f.name)), f.metadata["reason"])
        for f in dataclasses.fields(law)
        if "reason" in f.metadata
    ]


def prior_of(law: Law, site: str) -> str:
    """The prior of a site as one would write it; empty where it has none of its own."""
    found = {name: described for name, described, _ in priors(law)}
    return found.get(site, "")


def check_fields(law: Law) -> None:
    """Refuse what a law's fields do not allow.

    Raises:
        ValueError: If a choice is not one of its field's, or a prior cannot be written down and read again.
    """
    try:
        types = get_type_hints(type(law))
    except NameError:  # of a class that was defined in a function, with annotations as text
        types = {}
    for f in dataclasses.fields(law):
        value = getattr(law, f.name)
        allowed = get_args(types[f.name]) if get_origin(types.get(f.name)) is Literal else ()
        if allowed and value not in allowed:
            raise ValueError(f"{f.name} must be one of {', '.join(allowed)}, but is {value!r}")
        if types.get(f.name) in (bool, int) and type(value) is not types[f.name]:
            raise ValueError(f"{f.name} must be of type {types[f.name].__name__}, but is {value!r}")
        if isinstance(value, dist.Distribution):
            try:
                type(value)(**arguments(value))
            except TypeError as error:
                raise ValueError(
                    f"the prior of {f.name} is a {type(value).__name__}, which is not made from its "
                    "parameters alone: take another distribution"
                ) from error


def describe(prior: dist.Distribution | None) -> str:
    """A distribution as one would write it, such as Normal(0, 1); none where the data decide."""
    if prior is None:
        return "none"
    values = arguments(prior).values()
    return f"{type(prior).__name__}({', '.join(f'{v:g}' for v in values)})"


def arguments(prior: dist.Distribution) -> dict[str, float]:
    """The parameters from which a scalar distribution is made, by name."""
    found = {}
    for name in prior.arg_constraints:
        value = getattr(prior, name, None)
        if value is None:
            continue
        if getattr(value, "ndim", 0):
            raise ValueError(
                f"a prior must be a scalar distribution, but {type(prior).__name__} has {name} = {value}"
            )
        found[name] = float(value)
    return found
