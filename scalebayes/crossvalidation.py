"""held_out, cross_validate: predictions of scores that a fit has not seen, beside what they were."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import warnings
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from scipy.special import logsumexp

from scalebayes.cells import asked
from scalebayes.design import Reference
from scalebayes.diagnostics import ConvergenceWarning
from scalebayes.folds import Fold
from scalebayes.inference import fit as sample_posterior
from scalebayes.laws import LAWS
from scalebayes.laws.law import from_specification, specification
from scalebayes.posterior import Average, evenly, shares
from scalebayes.prediction import at_cells
from scalebayes.rules import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scalebayes.design import Design
    from scalebayes.laws.law import Law
    from scalebayes.observations import Observations
    from scalebayes.posterior import Fit

KEPT = 1000
"""At most so many predictive draws of a fold are kept."""


@dataclass(frozen=True)
class HeldOut:
    """Scores that fits have not seen, and what the fits expected.

    Attributes:
        cells: One row a score: fold, model, family, benchmark, observed, log_score (log of its predictive
            density), distance (decades of training FLOPs past the largest model of its family that the
            fit has seen; NaN for a family that it has not), family_size (how many it has seen).
        draws: Joint predictive draws of the scores of a fold, shape (score, sample).
        folds: One row a fold: fold, n_models, n_scores, log_score (of all its scores jointly) and its
            Monte Carlo error log_score_se, which is not to be believed above one half; joint_ess, how many
            independent draws `joint` is worth; max_rhat and min_ess_bulk of what the fit expects, passed
            (whether it passes its checks) and verdict.
        joint: Log density of all scores of a fold at each posterior draw, shape (fold, draw); empty where
            it was not kept.
    """

    cells: pd.DataFrame
    draws: np.ndarray = field(repr=False)
    folds: pd.DataFrame
    joint: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)


def held_out(
    fit: Fit | Average,
    observations: Observations | None = None,
    *,
    name: str = "held out",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> HeldOut:
    """Predict what a fit has not seen, beside what was observed.

    Args:
        fit: The fit, or an average of fits.
        observations: Models and their scores, on benchmarks of the fit; by default what the fit holds out.
        name: Name of the fold.
        new_families: As in `predict`.
        seed: Seed of the predictive draws.

    Raises:
        ValueError: If the fit holds out no score and no others are given, or it has seen some of them.
    """
    if isinstance(fit, Average):
        each = {
            k: held_out(part, observations, name=name, new_families=new_families, seed=seed)
            for k, part in fit.fits.items()
        }
        return mixed(each, fit.weights)
    if observations is None and fit.seen.all():
        raise ValueError(
            "the fit has seen all its scores: give observations that it has not, or fit with hold_out"
        )
    if observations is not None:
        _check_unseen(fit, observations)
    design = fit.design if observations is None else asked(fit, observations, new_families)
    found = at_cells(fit, design, seed, joint=True)
    rows = np.flatnonzero(~np.asarray(design.observed))
    draws = found["score"]["score"].reshape(-1, len(design.score))[:, rows]
    density = found["log_density"].reshape(-1, len(design.score))[:, rows]
    joint = found["joint_log_density"][..., 0]  # (chain, draw)
    relative = np.exp(joint - joint.max())
    cells = _cells(fit, design, rows).assign(
        fold=name, log_score=logsumexp(density, axis=0) - np.log(len(density))
    )
    folds = pd.DataFrame(
        {
            "fold": [name],
            "n_models": [cells["model"].nunique()],
            "n_scores": [len(cells)],
            "log_score": [float(logsumexp(joint) - np.log(joint.size))],
            "log_score_se": [float(array_stats.mcse(relative) / relative.mean())],
            "joint_ess": [float(min(array_stats.ess(joint, method="bulk"), joint.size))],
            "max_rhat": [fit.verdict.max_rhat],
            "min_ess_bulk": [fit.verdict.min_ess_bulk],
            "passed": [fit.verdict.passed],
            "verdict": [str(fit.verdict)],
        }
    )
    kept = evenly(len(draws), min(KEPT, len(draws)))
    first = ["fold", *(c for c in cells if c != "fold")]
    return HeldOut(cells[first], draws[kept].T.astype(np.float32), folds, joint.reshape(1, -1))


def _check_unseen(fit: Fit, observations: Observations) -> None:
    """Refuse scores that the fit has seen: of these it would judge itself too well."""
    inputs = ["model", "family", "params", "tokens"]
    own, asked_for = (
        t.scores[["model", "benchmark", "score"]].merge(t.models[inputs])
        for t in (fit.observations, observations)
    )
    both = asked_for.merge(own[fit.seen])
    if len(both):
        rows = ", ".join(f"{r.model} / {r.benchmark}" for r in both.head(3).itertuples())
        raise ValueError(
            f"the fit has seen {len(both)} of these scores, such as {rows}: leave them out, or fit "
            "without them (hold_out)"
        )


def _cells(fit: Fit, design: Design, rows: np.ndarray) -> pd.DataFrame:
    """Labels of scores, what was observed, and how far they are from what the fit has seen."""
    own = fit.observations
    seen = own.models[own.models["model"].isin(own.scores["model"][fit.seen])]
    at = np.asarray(design.score_model)[rows]
    family = np.array(design.labels("family"), object)[np.asarray(design.family)[at]]
    flops = np.asarray(design.log_params + design.log_tokens + design.log_per_nd)
    unknown = np.isin(np.arange(len(flops)), design.unknown_tokens)
    inputs = pd.DataFrame(
        {
            "family": family,
            "params": np.asarray(design.log_params)[at],
            "flops": np.where(unknown, np.nan, flops)[at],
        }
    )
    distance = np.full(len(rows), np.nan)
    for name, models in seen.groupby("family"):
        mine = (inputs["family"] == name).to_numpy()
        compute = inputs["flops"] - np.log(models["flops"].max())
        size = inputs["params"] - np.log(models["params"].max())  # as if of equal tokens
        distance[mine] = (compute.fillna(size) / np.log(10.0))[mine]
    benchmarks = np.array(design.labels("benchmark"), object)
    return pd.DataFrame(
        {
            "model": np.array(design.labels("model"), object)[at].astype(str),
            "family": family.astype(str),
            "benchmark": benchmarks[np.asarray(design.score_benchmark)[rows]].astype(str),
            "observed": np.asarray(design.score)[rows],
            "distance": distance,
            "family_size": inputs["family"]
            .map(seen["family"].value_counts())
            .fillna(0)
            .astype(int),
        }
    )


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
        **settings: Other arguments of `fit`, such as draws and chains.
    """
    if not folds:
        raise ValueError("there are no folds: no family has a model larger than those that stay")
    law_json = json.dumps(specification(law))
    tables = [getattr(observations, kind).to_csv(index=False) for kind in COLUMNS]
    more = {k: v.to_dict() if isinstance(v, Reference) else v for k, v in settings.items()}
    about = json.dumps([law_json, tables, seed, more, _code()])
    run = functools.partial(
        _of_fold,
        law_json,
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
    files = sorted(Path(__file__).parent.rglob("*.py"))
    code = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return [code, *(version(name) for name in ("jax", "numpyro"))]


def joined(parts: Sequence[HeldOut]) -> HeldOut:
    """Several held-out parts as one, with as many draws as the part with the fewest.

    Of a part with more, evenly spread ones are kept, so that all its chains count.
    """

    def all_draws(name: str) -> np.ndarray:
        each = [getattr(part, name) for part in parts]
        n = min(draws.shape[1] for draws in each)
        return np.concatenate([draws[:, evenly(draws.shape[1], n)] for draws in each])

    cells, folds = (
        pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        for name in ("cells", "folds")
    )
    return HeldOut(cells, all_draws("draws"), folds, all_draws("joint"))


def mixed(parts: Mapping[str, HeldOut], weights: Mapping[str, float]) -> HeldOut:
    """Predictions of an average of laws: each gives its share of the draws and of the densities.

    Args:
        parts: Predictions of the same scores by each law.
        weights: Share of each law, summing to one.
    """
    first = next(iter(parts.values()))
    columns = shares(weights, {name: part.draws.shape[1] for name, part in parts.items()})
    draws = [part.draws[:, columns[name]] for name, part in parts.items()]
    share = np.array([weights[name] for name in parts])[:, None]

    def density(table: str) -> np.ndarray:
        each = [getattr(part, table)["log_score"].to_numpy() for part in parts.values()]
        return logsumexp(np.stack(each), axis=0, b=share)

    def of_folds(column: str) -> np.ndarray:
        return np.stack([part.folds[column].to_numpy() for part in parts.values()])

    found = density("folds")
    relative = share * np.exp(of_folds("log_score") - found)
    folds = first.folds.assign(
        log_score=found,
        log_score_se=np.sqrt(((relative * of_folds("log_score_se")) ** 2).sum(0)),
        joint_ess=of_folds("joint_ess").min(0),
        max_rhat=of_folds("max_rhat").max(0),
        min_ess_bulk=of_folds("min_ess_bulk").min(0),
        passed=np.all(of_folds("passed"), axis=0).tolist(),
        verdict=[
            "; ".join(f"{k}: {v}" for k, v in zip(parts, own, strict=True))
            for own in of_folds("verdict").T
        ],
    )
    at = shares(weights, {name: part.joint.shape[1] for name, part in parts.items()})
    joint = np.concatenate([part.joint[:, at[name]] for name, part in parts.items()], axis=1)
    cells = first.cells.assign(log_score=density("cells"))
    return HeldOut(cells, np.concatenate(draws, axis=1), folds, joint)


def _of_fold(
    law_json: str,
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
    law = from_specification(json.loads(law_json), LAWS)
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
    except (FileNotFoundError, BadZipFile, EOFError, KeyError, ValueError):
        return None
