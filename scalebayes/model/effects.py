"""Local effects: sites of a law with a row for each family, lineage, run or model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.data.schema import quoted

if TYPE_CHECKING:
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

LOCAL_DIMS = ("family", "lineage", "run", "model", "model_without_tokens")
"""Dimensions of local effects, whose number grows with the data. A site has at most one, its first."""


def local_dim(law: Law, site: str) -> str | None:
    """The dimension in `LOCAL_DIMS` of a local site; None for a global one."""
    dims = law.dims[site]
    return dims[0] if dims and dims[0] in LOCAL_DIMS else None


def check_mixtures(law: Law, design: Design) -> None:
    """Check that every model has a mixture if the law needs it.

    Raises:
        ValueError: Naming the models.
    """
    unknown = np.isnan(np.asarray(design.mixture)).any(axis=1)
    if unknown.any() and any("source" in dims for dims in law.dims.values()):
        names = [m for m, missing in zip(design.labels("model"), unknown, strict=True) if missing]
        raise ValueError(
            f"{type(law).__name__} needs the mixture of every model, but none is known of "
            f"{quoted(names)}: give their mixtures, or leave these models out"
        )
