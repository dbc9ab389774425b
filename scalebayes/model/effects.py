"""Local effects: sites of a law with a row for each family, lineage, run or model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalebayes.model.law import Law

LOCAL_DIMS = ("family", "lineage", "run", "model", "model_without_tokens")
"""Dimensions of local effects, whose number grows with the data. A site has at most one, its first."""


def local_dim(law: Law, site: str) -> str | None:
    """The dimension in `LOCAL_DIMS` of a local site; None for a global one."""
    dims = law.dims[site]
    return dims[0] if dims and dims[0] in LOCAL_DIMS else None
