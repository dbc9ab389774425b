"""The laws, one paper a file. A new law is a file here, whose classes are registered, and a public name."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from scalebayes.model.specification import register, registered

if TYPE_CHECKING:
    from scalebayes.model.law import Law

ENTRY_POINTS = "scalebayes.laws"
"""Group of entry points by which an installed package makes its laws known."""


def by_name() -> dict[str, type[Law]]:
    """All laws by the names of their classes: those of this folder, of installed packages, and registered ones.

    Example:
        >>> sorted(by_name())[:2]
        ['FamilyIntercept', 'Flp']
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    for entry in entry_points(group=ENTRY_POINTS):
        register(entry.load())
    return registered()
