"""Law: a value with structural choices and priors, which is a generative model for NumPyro."""

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
    TypeVar,
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


SomeLaw = TypeVar("SomeLaw", bound="Law")


class Source(NamedTuple):
    """A publication behind a law.

    Attributes:
        title: Title of the publication.
        url: Its address.

    Example:
        >>> sb.Ladder.references[0].url
        'https://arxiv.org/abs/2412.04403'
    """

    title: str
    url: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Law:
    """Base of all laws: a frozen dataclass whose fields are structural choices and priors.

    Calling a law on a `Design` runs the generative model. It registers the observed scores at the site `score`
    with a `likelihoods.Likelihood`, and the expected scores at the deterministic site `mu`. A law with losses
    also registers the logs of the losses at `loss` and their expectations at `log_L`.

    Every site is declared where the law defines it: by the field of its prior (`prior(..., of=site(...))`), or by
    a class attribute of the site's name, `name: ClassVar[Site] = site(...)`. Laws are values: two laws are equal if
    their classes and fields are equal, and equal laws share compiled programs.

    Attributes:
        covariates: Names of the covariates of the observations that the law uses.
        story: The equations, as text for a report.
        references: The publications behind the law.
        rotated: Deterministic sites that `invariants` takes beside the sampled ones.

    Example:
        >>> sb.Sloth() == sb.Sloth(skills=2)
        True
        >>> sb.Sloth().dims["a"]
        ('family', 'benchmark')
    """

    covariates: tuple[str, ...] = ()

    story: ClassVar[str] = ""
    references: ClassVar[tuple[Source, ...]] = ()
    rotated: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep equality by class and fields: the decorator `dataclass` would compare distributions by identity."""
        super().__init_subclass__(**kwargs)
        cls.__eq__ = Law.__eq__  # type: ignore[method-assign]
        cls.__hash__ = Law.__hash__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        """Check choices and priors; see `check_fields`."""
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
        """Run the generative model on a design."""
        raise NotImplementedError(
            f"{type(self).__name__} has no generative model: define __call__(self, design)"
        )

    @functools.cached_property
    def sites(self) -> dict[str, Site]:
        """Declarations of all sites by name, in the order in which the classes define them."""
        return _sites(type(self))

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Names of the dimensions of every site, in order."""
        return {name: declared.dims for name, declared in self.sites.items()}

    @property
    def expected(self) -> list[str]:
        """Names of the sites of expected scores and losses, by which convergence is judged."""
        return [name for name, declared in self.sites.items() if declared.expects]

    def coords(self) -> dict[str, list[str]]:
        """Labels of the law's own dimensions, such as `skill`."""
        return {}

    def check(self, design: Design) -> None:
        """Check that the law can be fitted to a design.

        Raises:
            ValueError: If it cannot; the message says what is missing and what to do.
        """

    def reflection(self, design: Design) -> dict[str, np.ndarray]:
        """Signs by site, 1 or -1, of a reflection that leaves the posterior unchanged; empty if there is none."""
        return {}

    def drivers(self, design: Design) -> np.ndarray | None:
        """Index of the loss domain that drives each benchmark, shape (benchmark,).

        None if the law has no losses, or several losses drive one benchmark.
        """
        return None

    def invariants(
        self, values: Mapping[str, np.ndarray], posterior: Mapping[str, np.ndarray], design: Design
    ) -> list[Invariant]:
        """Quantities that the data can identify, computed from draws of the law's sites.

        Args:
            values: Unconstrained draws of the sampled sites, and draws of the sites in `rotated`, each (draw, ...):
                from the prior or from the posterior.
            posterior: Posterior draws of the same sites, for quantities relative to the posterior.
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
    """List name, distribution and reason of every prior of a law, including priors that its choices leave unused.

    Args:
        law: The law.

    Returns:
        Triples (name, distribution, reason), such as `('omega', 'LogNormal(-1.4, 0.5)', ...)`.

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
    """The prior of a site, such as Normal(0, 1); empty if the site has no prior of its own."""
    found = {name: described for name, described, _ in priors(law)}
    return found.get(site, "")


def check_fields(law: Law) -> None:
    """Check the values of a law's fields.

    Raises:
        TypeError: If a class declares a prior, but is not a dataclass, so that the prior would be ignored.
        ValueError: If a choice is not among those of its field, or a prior cannot be rebuilt from its parameters.
    """
    for cls in type(law).__mro__:
        if ignored := [k for k, v in vars(cls).items() if isinstance(v, dataclasses.Field)]:
            raise TypeError(
                f"{cls.__name__} declares the fields {ignored}, but is not a dataclass: write "
                "@dataclass(frozen=True, kw_only=True) above the class"
            )
    try:
        types = get_type_hints(type(law))
    except NameError:  # a class defined in a function, with annotations as text
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
                    f"the prior of {f.name} is a {type(value).__name__}, which cannot be rebuilt from its "
                    "parameters: choose another distribution"
                ) from error


def describe(prior: dist.Distribution | None) -> str:
    """A distribution as text, such as Normal(0, 1); `none` for a prior that depends on the data."""
    if prior is None:
        return "none"
    values = arguments(prior).values()
    return f"{type(prior).__name__}({', '.join(f'{v:g}' for v in values)})"


def at_current_precision(law: SomeLaw) -> SomeLaw:
    """Return an equal law whose priors are made anew.

    Some distributions, such as Beta, keep arrays in the precision that was in force when they were made.
    """
    priors = {
        f.name: type(value)(**arguments(value))
        for f in dataclasses.fields(law)
        if isinstance(value := getattr(law, f.name), dist.Distribution)
    }
    return dataclasses.replace(law, **priors)


def arguments(prior: dist.Distribution) -> dict[str, float]:
    """The parameters of a scalar distribution, by name."""
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
