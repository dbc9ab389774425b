"""cross_validate: fit a law once for each fold, without the data of that fold, and predict them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import warnings
import zlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from scalebayes.data.folds import Fold
from scalebayes.data.schema import COLUMNS
from scalebayes.evaluation.heldout import held_out_in_table
from scalebayes.evaluation.predictions import HeldOut, joined
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.inference.draws import evenly
from scalebayes.inference.fitting import fit as sample_posterior
from scalebayes.inference.sampling import sampler_specification
from scalebayes.model.reference import Reference
from scalebayes.model.specification import own_code, specification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit
    from scalebayes.model.law import Law
    from scalebayes.prediction.designs import Quantity

MAX_KEPT_DRAWS = 1000
"""Predictive draws that are kept of each fold, in memory and on disk."""


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
    """Fit a law once for each fold, without the data that the fold holds out, and predict them.

    All fits share one compiled program. The column `passed` of `folds` says which fits pass their checks;
    there are no warnings.

    Args:
        law: The law.
        observations: Validated tables.
        folds: What to hold out; `folds.larger`, `folds.each_model` and `folds.each_family` make such lists.
        seed: Seed of all random numbers.
        folder: Where finished folds are stored. An interrupted run resumes from them. Folds of other
            laws, tables or settings may be in the same folder.
        jobs: Number of folds to fit at once in joblib processes; -1 for one a core. The chains of
            one fold already use several cores, so more than one job is of use on a cluster: under
            `joblib.parallel_config(backend="dask")` the folds are sent to its workers.
        progress: Called with the number of finished folds and the number of all folds, at the start and
            after each fold. A backend that returns all folds at once, such as Dask, calls it only at the end.
        **settings: Other arguments of `fit`, such as sampler.

    Returns:
        The predictions of all folds, with at most `MAX_KEPT_DRAWS` draws: scores, where folds hold out any,
        else losses.

    Raises:
        ValueError: If there are no folds, or a fold holds out nothing that was measured.
        ImportError: If `jobs` is not 1 and joblib is not installed.
    """
    if not folds:
        raise ValueError(
            "expected at least one fold, got none: no family has a model larger than those that stay"
        )
    run = functools.partial(
        _of_fold,
        law,
        observations,
        seed,
        settings,
        None if folder is None else Path(folder),
        fingerprint(law, observations, seed, settings),
    )
    finished = (run(fold) for fold in folds) if jobs == 1 else _in_processes(run, folds, jobs)
    tell = progress or (lambda done, total: None)
    tell(0, len(folds))
    parts = []
    for part in finished:
        parts.append(part)
        tell(len(parts), len(folds))
    return joined(parts)


def fingerprint(law: Law, observations: Observations, seed: int, settings: dict[str, Any]) -> str:
    """Hash of all that a fit depends on: law, data, seed, other arguments of `fit`, code and versions."""
    tables = [getattr(observations, kind).to_csv(index=False) for kind in COLUMNS]
    about = [specification(law), own_code(law), tables, seed, _plain(settings), _code()]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def name_of_fold(shared: str, fold: Fold) -> str:
    """Name of the file of a finished fold, without suffix, from the `fingerprint` that all folds share."""
    about = json.dumps([shared, fold.name, fold.hold_out])
    return hashlib.sha256(about.encode()).hexdigest()[:24]


def _in_processes(
    run: Callable[[Fold], HeldOut], folds: Sequence[Fold], jobs: int
) -> Iterable[HeldOut]:
    """Folds in their order, each as soon as it is finished where joblib's backend can return it."""
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
    """Hash of the package's code, and versions of JAX and NumPyro, on which a finished fold depends."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))  # of the whole package
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
    """One fold: read it if it is finished, else fit it and store it under a hash of all it depends on."""
    path = None
    if folder is not None:
        path = folder / f"{name_of_fold(shared, fold)}.npz"
        if (found := _read(path)) is not None:
            return found
    fit = fit_quietly(law, observations, seed=seed, hold_out=fold.hold_out, **settings)
    result = _thinned(held_out_in_table(fit, name=fold.name, seed=seed))
    if path is not None:
        _write(result, path)
    return result


def fit_quietly(
    law: Law, observations: Observations, *, progress: bool = False, **settings: Any
) -> Fit:
    """As `fit`, without warnings of convergence: for fits whose verdict is told, or judged, elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return sample_posterior(law, observations, progress=progress, **settings)


def _thinned(result: HeldOut) -> HeldOut:
    """A fold with at most `MAX_KEPT_DRAWS` draws, evenly spread, in single precision."""
    n = result.draws.shape[1]
    draws = result.draws[:, evenly(n, min(MAX_KEPT_DRAWS, n))]
    return replace(result, draws=draws.astype(np.float32))


def _write(result: HeldOut, path: Path) -> None:
    """Store a fold; the file is complete or does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        tables = [json.dumps(table.to_dict("list")) for table in (result.cells, result.folds)]
        np.savez_compressed(
            file,
            draws=result.draws,
            joint=result.joint,
            cells=tables[0],
            folds=tables[1],
            of=result.of,
        )
    partial.replace(path)


def _read(path: Path) -> HeldOut | None:
    """A finished fold; None if there is no file or the file is damaged, so that the fold is fitted again."""
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            cells, folds = (pd.DataFrame(json.loads(str(file[k]))) for k in ("cells", "folds"))
            of: Quantity = "loss" if str(file["of"]) == "loss" else "score"
            return HeldOut(cells, file["draws"], folds, file["joint"], of)
    except (OSError, BadZipFile, EOFError, KeyError, ValueError, NotImplementedError, zlib.error):
        return None
