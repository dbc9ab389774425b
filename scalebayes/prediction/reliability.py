"""Warnings of answers that should not be relied on, once for each call of a public function."""

from __future__ import annotations

import functools
import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.prediction.ranges import far_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from scalebayes.inference.posterior import Fit, Fitted

Answer = TypeVar("Answer", bound="Callable[..., Any]")

_depth: ContextVar[int] = ContextVar("depth of calls of public functions on a fit", default=0)


class ExtrapolationWarning(UserWarning):
    """A model lies so far outside the range that the fit has seen that its prediction should not be acted on.

    Example:
        >>> import pandas as pd, warnings
        >>> huge = pd.DataFrame({"model": ["x"], "family": "f0", "params": 1e13, "tokens": 1e15})
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     table = sb.predict(fit, huge)
        >>> [bool(table["flops_past"][0] > 1.5) for w in told if w.category is sb.ExtrapolationWarning]
        [True]
    """


def checked(function: Answer) -> Answer:
    """Make a public function warn, once a call, if its first argument is a fit that has not converged.

    Public functions that it calls in turn do not warn again, neither of convergence nor of extrapolation.
    """

    @functools.wraps(function)
    def wrapper(fit: Fitted, *args: Any, **kwargs: Any) -> Any:
        before = _depth.set(_depth.get() + 1)
        try:
            found = function(fit, *args, **kwargs)
            warn_unless_converged({part.name: part.fit for part in fit.parts})
        finally:
            _depth.reset(before)
        return found

    return cast("Answer", wrapper)


def warn_unless_converged(fits: Mapping[str, Fit]) -> None:
    """Warn of fits, by name, that have not converged; only in the public function that the user called."""
    if _depth.get() <= 1 and (found := failures(fits)):
        warnings.warn(
            f"not converged: do not rely on the answers of {'these fits' if len(fits) > 1 else 'this fit'} before this "
            f"is mended: {'; '.join(found)}",
            ConvergenceWarning,
            stacklevel=3,
        )


def failures(fits: Mapping[str, Fit]) -> list[str]:
    """Failed convergence checks, one sentence each; of several fits, headed by the name of the fit."""
    return [
        f"{name}: {failure}" if len(fits) > 1 else failure
        for name, fit in fits.items()
        for failure in fit.verdict.failures
    ]


def warn_if_far(fit: Fitted, models: pd.DataFrame) -> None:
    """Warn of models that lie far outside what a fit has seen; for the arguments see `far_outside`.

    To be called by functions under `checked`, with the models that the user asked for.
    """
    if _depth.get() == 1 and (told := far_outside(fit, models)):
        warnings.warn("; ".join(told), ExtrapolationWarning, stacklevel=4)
