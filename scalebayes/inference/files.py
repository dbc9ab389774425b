"""One NetCDF file for a fit: its tree, its tables as CSV text, and all else as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA = 3
"""Version of the file format; newer ones are refused. Files of 1 have no mixtures, of 2 no sampler object."""

GROUP = "scalebayes"
"""Group of the file that holds everything but the tree."""


def write(
    path: Path, tree: xr.DataTree, facts: Mapping[str, Any], tables: Mapping[str, str]
) -> None:
    """Write a fit; the file is complete or not there at all.

    Args:
        path: Where to.
        tree: The fit's DataTree.
        facts: JSON-ready values.
        tables: CSV texts by kind.
    """
    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    about = json.dumps({"schema": SCHEMA, **facts})
    groups[GROUP] = xr.Dataset({k: ((), v) for k, v in {"about": about, **tables}.items()})
    partial = path.with_name(path.name + ".partial")
    xr.DataTree.from_dict(groups).to_netcdf(partial, engine="h5netcdf")
    partial.replace(path)


def read(path: Path) -> tuple[xr.DataTree, dict[str, Any], dict[str, str]]:
    """Read what `write` wrote: tree, facts and tables.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, is not a fit, or was written by a newer version.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
        tables = {str(k): str(v.item()) for k, v in tree[GROUP].data_vars.items()}
        facts: dict[str, Any] = json.loads(tables.pop("about"))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} is not a complete fit: it is truncated or was not written by scalebayes; "
            "fit again, or copy the file again from where it came"
        ) from error
    if facts["schema"] > SCHEMA:
        raise ValueError(
            f"{path} has schema {facts['schema']}, written by a newer scalebayes; this version reads "
            f"up to {SCHEMA}: upgrade scalebayes"
        )
    groups = {k: v.to_dataset() for k, v in tree.children.items() if k != GROUP}
    return xr.DataTree.from_dict(groups), facts, tables
