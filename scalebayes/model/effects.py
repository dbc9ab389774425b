"""Local effects: sites of a law with a row for each family, lineage, run or model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalebayes.model.design import LOCAL_DIMS

if TYPE_CHECKING:
    from scalebayes.model.law import Law


def local_dim(law: Law, site: str) -> str | None:
    """The dimension in `LOCAL_DIMS` of a local site; None for a global one.

    Raises:
        ValueError: If the law samples the site without declaring it.
    """
    if site not in law.sites:
        raise ValueError(
            f"{type(law).__name__} samples the site {site!r}, which it does not declare: declare it by the field of "
            f"its prior, or as a class attribute, {site} = sb.site(...)"
        )
    dims = law.dims[site]
    return dims[0] if dims and dims[0] in LOCAL_DIMS else None
