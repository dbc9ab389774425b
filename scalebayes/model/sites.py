"""Declarations of the sites and priors of a law."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpyro import distributions as dist


@dataclasses.dataclass(frozen=True)
class Site:
    """A site of a law: a sampled parameter, a deterministic quantity or an observed value.

    Attributes:
        dims: Names of its dimensions, in order.
        phrase: Description for readers of a report.
        informed_by: The kind of data that inform it, a name in `identifiability.remedies.NEEDS`; `inputs` if it
            depends on the label along the dimension of inputs. Empty for a site that is not judged.
        even: Whether the density is unchanged when any one of its values changes sign.
        exchangeable: Whether labels along its dimensions may be permuted, so that single values have no meaning.
        expects: `score` or `loss` for the site of their expected values.

    Example:
        >>> sb.Sloth().sites["omega"].phrase
        'specific parts of benchmarks, sd'
    """

    dims: tuple[str, ...] = ()
    phrase: str = ""
    informed_by: str = ""
    even: bool = False
    exchangeable: bool = False
    expects: str = ""


def site(
    *dims: str,
    phrase: str = "",
    informed_by: str = "",
    even: bool = False,
    exchangeable: bool = False,
    expects: str = "",
) -> Site:
    """Declare a site. For the arguments see `Site`.

    Example:
        >>> sb.site("family", "benchmark", phrase="intercepts of single families", informed_by="scores").dims
        ('family', 'benchmark')
    """
    return Site(dims, phrase, informed_by, even, exchangeable, expects)


def prior(
    make: Callable[[], dist.Distribution | None],
    reason: str,
    of: Site | None = None,
) -> Any:
    """Declare a field of a law that holds a prior.

    The default is made when a law is created, not at import, because a distribution starts the JAX backend.

    Args:
        make: Function that returns the default distribution, or None for a prior that depends on the data.
        reason: Reason for this prior, with its numbers, for readers of a report.
        of: Declaration of the site with the field's name; None if the prior belongs to sites with other names.

    Returns:
        A dataclass field, whose default is a new distribution for each law.

    Example:
        >>> from numpyro.distributions import Normal
        >>> field = sb.prior(lambda: Normal(0.0, 1.0), "a slope is about one logit", sb.site("benchmark"))
        >>> field.metadata["reason"], field.metadata["site"].dims
        ('a slope is about one logit', ('benchmark',))
    """
    return dataclasses.field(default_factory=make, metadata={"reason": reason, "site": of})


class Invariant(NamedTuple):
    """A quantity that the data can identify: a site, or a function of several sites.

    Attributes:
        name: Name of the site or of the quantity.
        values: Draws, shape (draw, ...).
        site: Its declaration; the dimensions are those of `values`.
        sampled: The sampled sites that it depends on.
        places: Labels of each value, one mapping from dimension to label for each, in the order of the raveled
            values; None where the values fill the product of the dimensions' labels.
    """

    name: str
    values: np.ndarray
    site: Site
    sampled: tuple[str, ...]
    places: tuple[Mapping[str, str], ...] | None = None
