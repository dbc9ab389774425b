"""Table: a data set, what is held out of it, and what it is used for."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import scalebayes as sb
from benchmarks.zoo import tables
from scalebayes.data.folds import Fold
from scalebayes.model.law import Law


@dataclass(frozen=True)
class Table:
    """A data set whose larger models are predicted from the smaller ones.

    Attributes:
        observations: The data.
        folds: What each fit does not see, and is asked for.
        loss_laws: Laws with losses that suit the table, by name.
    """

    observations: sb.Observations
    folds: list[Fold]
    loss_laws: dict[str, Law] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A table that a file in `benchmarks/zoo/tables` names in `TABLES`, and the role that the file declares.

    A table whose role is `development` may be looked at while laws, priors and defaults are chosen; one whose
    role is `test` is run once a release.
    """

    name: str
    role: Literal["development", "test"]
    table: Callable[[], Table]


def entries() -> list[Entry]:
    """All tables, by name."""
    found: list[Entry] = []
    for module in pkgutil.iter_modules(tables.__path__):
        own = importlib.import_module(f"{tables.__name__}.{module.name}")
        found += [Entry(name, own.ROLE, table) for name, table in own.TABLES.items()]
    return sorted(found, key=lambda entry: entry.name)


def larger(observations: sb.Observations, keep: int) -> list[Fold]:
    """One fold: of each family all models larger than its `keep` smallest sizes."""
    models = observations.models
    rank = models.groupby("family")["params"].rank("dense")
    hidden = tuple(models["model"][rank > keep])
    return [Fold(f"all but the smallest {keep} sizes of each family", hidden)]
