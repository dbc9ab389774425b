"""What a law declares about each of its sites, and about each of its priors, where it defines them."""

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
        phrase: What it is, for readers of a report.
        informed_by: What kind of data inform it, a name in `identifiability.remedies.NEEDS`; `inputs` where the
            label along the dimension of inputs says so. Empty for a site that is never judged.
        even: Whether the density stays the same when any one of its values changes its sign.
        exchangeable: Whether labels along its dimensions may be permuted, so that single values mean nothing.
        expects: `score` or `loss` for the site with the expected values of these.
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
    """Declare a site; for the arguments see `Site`.

    Example:
        >>> site("family", "benchmark", phrase="intercepts of single families", informed_by="scores").dims
        ('family', 'benchmark')
    """
    return Site(dims, phrase, informed_by, even, exchangeable, expects)


def prior(
    make: Callable[[], dist.Distribution | None],
    reason: str,
    of: Site | None = None,
) -> Any:
    """Declare a field of a law that holds a prior.

    The distribution is made when a law is, not at import, since making one starts a JAX backend.

    Args:
        make: Makes the default distribution, or None where the data decide.
        reason: Why this prior.
        of: The site of the field's own name; None where the prior is of sites with other names.
    """
    return dataclasses.field(default_factory=make, metadata={"reason": reason, "site": of})


class Invariant(NamedTuple):
    """A quantity that the data can identify: a site, or what several sites determine together.

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
