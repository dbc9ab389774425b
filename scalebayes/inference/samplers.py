"""Samplers by name, to make again the one that a fit was sampled with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalebayes.inference.nuts import Nuts
from scalebayes.inference.staged import Staged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalebayes.inference.sampling import Sampler

SAMPLERS: dict[str, type[Any]] = {"Nuts": Nuts, "Staged": Staged}


def from_sampler_specification(specification: Mapping[str, Any]) -> Sampler:
    """Make the sampler that `sampling.sampler_specification` described.

    Raises:
        ValueError: If there is no sampler of that name.
    """
    values = dict(specification)
    name = values.pop("sampler")
    if name not in SAMPLERS:
        raise ValueError(
            f"the fit was sampled with {name}, but the samplers known here are {', '.join(SAMPLERS)}: fit again "
            "with one of these"
        )
    made: Sampler = SAMPLERS[name](
        **{
            k: from_sampler_specification(v) if isinstance(v, dict) else v
            for k, v in values.items()
        }
    )
    return made
