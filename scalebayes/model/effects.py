"""Effects that grow with the data: which sites of a law have a row for each family, run or model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.data.schema import quoted

if TYPE_CHECKING:
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

LOCAL_DIMS = ("family", "lineage", "run", "model", "model_without_tokens")
"""Dimensions along which sampled effects grow with the data. A site has at most one, its first."""


def local_dim(law: Law, site: str) -> str | None:
    """The dimension of `LOCAL_DIMS` along which a site grows; None for a global one."""
    dims = law.dims[site]
    return dims[0] if dims and dims[0] in LOCAL_DIMS else None


def check_mixtures(law: Law, design: Design) -> None:
    """Refuse models without a mixture where the law needs it.

    Raises:
        ValueError: Naming the models.
    """
    unknown = np.isnan(np.asarray(design.mixture)).any(axis=1)
    if unknown.any() and any("source" in dims for dims in law.dims.values()):
        names = [m for m, missing in zip(design.labels("model"), unknown, strict=True) if missing]
        raise ValueError(
            f"{type(law).__name__} needs the mixture of every model, but none is known of "
            f"{quoted(names)}: give their mixtures, or leave them out"
        )
