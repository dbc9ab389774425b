"""load: read a saved fit."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalebayes.data.covariates import Covariate
from scalebayes.data.observations import Observations
from scalebayes.data.schema import COLUMNS, TEXT
from scalebayes.inference.diagnostics import Verdict
from scalebayes.inference.files import read
from scalebayes.inference.posterior import Fit
from scalebayes.laws import by_name
from scalebayes.model.reference import Reference
from scalebayes.model.specification import from_specification

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

    from scalebayes.model.law import Law


def load(path: str | Path, *, laws: Iterable[type[Law]] = ()) -> Fit:
    """Read a fit from a file that `Fit.save` wrote.

    Args:
        path: The file.
        laws: Classes of your own laws, if the fitted law is not registered.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, is not a fit, was written by a newer version, or holds a fit of a law
            that is not known; the message says how to provide it.

    Returns:
        The fit, with its law, observations, draws and provenance.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     loaded = sb.load(fit.save(pathlib.Path(folder) / "sloth.nc"))
        >>> loaded.law == fit.law
        True
    """
    tree, facts, tables = read(Path(path))
    covariates = [
        Covariate(**{**c, "levels": tuple(c["levels"])}) for c in facts.get("covariates", [])
    ]
    text = [*(c.name for c in covariates if c.kind != "numeric")]

    def table(kind: str) -> pd.DataFrame:
        # names are text even if they look like numbers; text columns have no empty cells
        columns = [*TEXT[kind], *(text if kind == "models" else ())]
        return pd.read_csv(
            StringIO(tables[kind]),
            keep_default_na=False,
            na_values={name: [""] for name in _columns(tables[kind]) if name not in columns},
            dtype=dict.fromkeys(columns, str),
        )

    return Fit(
        law=from_specification(facts["law"], by_name(), laws),
        observations=Observations(
            **{kind: table(kind) for kind in COLUMNS if kind in tables},
            covariates=covariates,
            scales="trust",
        ),
        held_out=tuple(h if isinstance(h, str) else tuple(h) for h in facts["held_out"]),
        tree=tree if facts["schema"] > 2 else _with_saturation(tree, facts["provenance"]),
        reference=Reference.from_dict(facts["reference"]),
        provenance=facts["provenance"] if facts["schema"] > 2 else _modern(facts["provenance"]),
        judged=_verdict(facts.get("verdict")),
    )


def _verdict(saved: dict[str, Any] | None) -> Verdict | None:
    return None if saved is None else Verdict(**{**saved, "failures": tuple(saved["failures"])})


def _columns(text: str) -> list[str]:
    return list(pd.read_csv(StringIO(text), nrows=0).columns)


def _modern(provenance: dict[str, Any]) -> dict[str, Any]:
    """Provenance of a file of schema 1 or 2, whose sampler was a dictionary of settings."""
    settings = dict(provenance["settings"])
    rest = {k: v for k, v in provenance.items() if k not in ("settings", "staged")}
    seed = settings.pop("seed")
    sampler: dict[str, Any] = {"sampler": "Nuts", **settings}
    if provenance.get("staged"):
        sampler = {"sampler": "Staged", "within": sampler}
    return {"seed": seed, "sampler": sampler, **rest}


def _with_saturation(tree: xr.DataTree, provenance: dict[str, Any]) -> xr.DataTree:
    """The tree of such a file with `reached_max_treedepth`, computed from the tree depth."""
    stats = tree["sample_stats"].to_dataset()
    reached = stats["tree_depth"] >= provenance["settings"]["max_tree_depth"]
    tree["sample_stats"] = type(tree)(stats.assign(reached_max_treedepth=reached.astype(np.bool_)))
    return tree
