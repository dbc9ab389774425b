"""Data that a law requires: declared covariates, and mixtures of training data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.data.schema import quoted

if TYPE_CHECKING:
    from scalebayes.data.covariates import Covariate
    from scalebayes.data.observations import Observations
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


def declarations(law: Law, observations: Observations) -> list[Covariate]:
    """Return the declarations of the covariates that a law uses.

    Raises:
        ValueError: If the observations do not declare one of them.
    """
    declared = observations.covariates
    if unknown := [name for name in law.covariates if name not in declared]:
        raise ValueError(
            f"{type(law).__name__} uses the covariates {unknown}, but the observations declare "
            f"{list(declared) or 'none'}: declare them, as in covariates={{{unknown[0]!r}: 'numeric'}}, or leave "
            "them out of the law"
        )
    return [declared[name] for name in law.covariates]


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
