"""cross_validate: a law fitted once for each fold, without what the fold holds out, and judged by that."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import warnings
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from scalebayes.data.folds import Fold
from scalebayes.data.schema import COLUMNS
from scalebayes.evaluation.heldout import HeldOut, held_out, joined
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.inference.fitting import fit as sample_posterior
from scalebayes.inference.sampling import sampler_specification
from scalebayes.model.reference import Reference
from scalebayes.model.specification import own_code, specification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.model.law import Law


def cross_validate(
    law: Law,
    observations: Observations,
    folds: Sequence[Fold],
    *,
    seed: int,
    folder: str | Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> HeldOut:
    """Fit a law once for each fold, without what the fold holds out, and predict that.

    All fits share one compiled program. Whether each passed its checks is told in `folds`, not by
    warnings.

    Args:
        law: The law.
        observations: Validated tables.
        folds: What to hold out, as `folds.larger`, `folds.each_model` and `folds.each_family` list it.
        seed: Seed of all random numbers.
        folder: Where finished folds are kept; a run that was interrupted goes on there. Folds of other
            laws, tables or settings may lie in the same folder.
        jobs: How many folds at once, in processes of joblib, -1 for as many as there are cores. Chains of
            one fold already share the cores of a machine, so that more than one pays on a cluster: with
            `joblib.parallel_config(backend="dask")` the folds go to its workers.
        progress: Called with the number of finished folds and of all, at the start and after each fold.
            A backend that hands over all folds at once, such as Dask, tells nothing in between.
        **settings: Other arguments of `fit`, such as sampler.
    """
    if not folds:
        raise ValueError("there are no folds: no family has a model larger than those that stay")
    tables = [getattr(observations, kind).to_csv(index=False) for kind in COLUMNS]
    about = json.dumps([specification(law), own_code(law), tables, seed, _plain(settings), _code()])
    run = functools.partial(
        _of_fold,
        law,
        observations,
        seed,
        settings,
        None if folder is None else Path(folder),
        hashlib.sha256(about.encode()).hexdigest(),
    )
    finished = (run(fold) for fold in folds) if jobs == 1 else _in_processes(run, folds, jobs)
    tell = progress or (lambda done, total: None)
    tell(0, len(folds))
    parts = []
    for part in finished:
        parts.append(part)
        tell(len(parts), len(folds))
    return joined(parts)


def _in_processes(
    run: Callable[[Fold], HeldOut], folds: Sequence[Fold], jobs: int
) -> Iterable[HeldOut]:
    """Folds in their order, each as soon as it is there where the backend of joblib can do so."""
    try:
        import joblib
    except ImportError as error:
        raise ImportError(
            "jobs other than 1 need joblib: install scalebayes[dask], or leave out jobs"
        ) from error
    backend, _ = joblib.parallel.get_active_backend()
    how = "generator" if backend.supports_return_generator else "list"
    return joblib.Parallel(jobs, return_as=how)(joblib.delayed(run)(fold) for fold in folds)


@functools.cache
def _code() -> list[str]:
    """What else a finished fold depends on: the code of the package and the versions behind it."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    code = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return [code, *(version(name) for name in ("jax", "numpyro"))]


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Other arguments of `fit` as JSON-ready values."""
    plain = {"reference": Reference.to_dict, "sampler": sampler_specification}
    return {k: plain[k](v) if k in plain and v is not None else v for k, v in settings.items()}


def _of_fold(
    law: Law,
    observations: Observations,
    seed: int,
    settings: dict[str, Any],
    folder: Path | None,
    shared: str,
    fold: Fold,
) -> HeldOut:
    """One fold: read where it is finished, or fitted and kept under a hash of all that it depends on."""
    path = None
    if folder is not None:
        about = json.dumps([shared, fold.name, fold.hold_out])
        path = folder / f"{hashlib.sha256(about.encode()).hexdigest()[:24]}.npz"
        if (found := _read(path)) is not None:
            return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = sample_posterior(
            law, observations, seed=seed, hold_out=fold.hold_out, progress=False, **settings
        )
    result = held_out(fit, name=fold.name, seed=seed)
    if path is not None:
        _write(result, path)
    return result


def _write(result: HeldOut, path: Path) -> None:
    """Keep a fold; the file is complete or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        tables = [json.dumps(table.to_dict("list")) for table in (result.cells, result.folds)]
        np.savez_compressed(
            file, draws=result.draws, joint=result.joint, cells=tables[0], folds=tables[1]
        )
    partial.replace(path)


def _read(path: Path) -> HeldOut | None:
    """A finished fold; none where there is no file, or a damaged one, which is fitted again."""
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            tables = {k: pd.DataFrame(json.loads(str(file[k]))) for k in ("cells", "folds")}
            return HeldOut(draws=file["draws"], joint=file["joint"], **tables)
    except (OSError, BadZipFile, EOFError, KeyError, ValueError, NotImplementedError, zlib.error):
        return None
