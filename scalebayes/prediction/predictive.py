"""predict: a fit and models that need not exist yet to joint predictive draws and their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.data.schema import quoted
from scalebayes.inference.draws import shares
from scalebayes.prediction.designs import CELL, design_of_models
from scalebayes.prediction.pointwise import at_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.prediction.designs import Quantity

Kind = Literal["score", "mean"]


def predict(
    fit: Fitted,
    models: pd.DataFrame | Observations,
    *,
    of: Quantity = "score",
    prob: Sequence[float] = (0.5, 0.9),
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Predictive intervals for models on every benchmark, or every loss domain, of a fit.

    A model of the fit, by its name, family, size and tokens, is predicted as it will score once more:
    its deviation from its family is known from the scores that the fit has seen of it.

    Args:
        fit: The fit, or an average of fits.
        models: One row a model with columns model, family, params (N, a count) and tokens (D, a
            count); optionally lineage. A missing token count is averaged over. Or observations, of
            which the models and their mixtures are taken and nothing else. A model of the fit that
            comes without a mixture has the one that the fit knows.
        of: `score`, or `loss` of a law that has losses.
        prob: Probabilities of the central intervals.
        kind: `score`, the score that an evaluation will show, or `mean`, what the law expects of a
            typical model of that family, size and tokens: without the noise of evaluations and of
            single models.
        new_families: Families that are meant to be new though a known one has a similar name.
        seed: Seed of the predictive draws.

    Returns:
        One row a model and benchmark (or domain): model, family, benchmark, kind (`known family`,
        or `new family`: drawn from the population of families), mean, median, sd, and lower_p and
        upper_p in percent for each probability, such as lower_90.

    Raises:
        ValueError: If a family is unknown and looks like a misspelling, a model of the fit comes with
            another mixture, or an argument is off.
        ObservationsError: If the table of models is.
    """
    if not prob or not all(0 < p < 1 for p in prob):
        raise ValueError(f"prob must be probabilities between 0 and 1, but is {prob!r}")
    draws = predictive_draws(fit, models, of=of, kind=kind, new_families=new_families, seed=seed)
    _, column = CELL[of]
    values = draws[of].stack(sample=("chain", "draw")).transpose("model", column, "sample")
    known = fit.known_families
    families = [str(f) for f in draws.coords["family"].values]
    n_column = values.sizes[column]
    table = pd.DataFrame(
        {
            "model": np.repeat(draws.coords["model"].values, n_column),
            "family": np.repeat(families, n_column),
            column: np.tile(draws.coords[column].values, len(families)),
            "kind": np.repeat(
                ["known family" if f in known else "new family" for f in families], n_column
            ),
        }
    )
    flat = values.to_numpy().reshape(len(table), -1)
    return table.assign(**summary(flat, prob))


def summary(draws: np.ndarray, prob: Sequence[float] = (0.5, 0.9)) -> dict[str, np.ndarray]:
    """Mean, median, sd and central intervals of draws, shape (row, sample), as columns."""
    columns = {
        "mean": draws.mean(axis=-1),
        "median": np.median(draws, axis=-1),
        "sd": draws.std(axis=-1, ddof=1),
    }
    for p in prob:
        name = f"{100 * p:g}"
        columns[f"lower_{name}"], columns[f"upper_{name}"] = np.quantile(
            draws, [(1 - p) / 2, (1 + p) / 2], axis=-1
        )
    return columns


def predictive_draws(
    fit: Fitted,
    models: pd.DataFrame | Observations,
    *,
    of: Quantity = "score",
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> xr.Dataset:
    """Joint predictive draws over models and benchmarks, or loss domains.

    Draws belong together: averages over benchmarks, differences of models and probabilities of
    joint events follow from them. For the arguments and errors see `predict`.

    Returns:
        Dataset with `score` of dims (chain, draw, model, benchmark), or `loss` with domain in place of
        benchmark, and the family of each model as a coordinate. The draws of an average are in one
        chain, its laws one after the other.
    """
    drawn = {
        name: _draws(part, models, of, kind, new_families, seed) for name, part, _ in fit.parts
    }
    if len(drawn) > 1:
        return _mixed(drawn, {part.name: part.weight for part in fit.parts})
    return next(iter(drawn.values()))


def _draws(
    fit: Fit,
    models: pd.DataFrame | Observations,
    of: Quantity,
    kind: Kind,
    new_families: Sequence[str],
    seed: int,
) -> xr.Dataset:
    """Joint predictive draws of one fit; for the arguments see `predictive_draws`."""
    if kind not in ("score", "mean"):
        raise ValueError(f"kind must be 'score' or 'mean', but is {kind!r}")
    if of not in CELL or of not in fit.tree["log_likelihood"]:
        raise ValueError(
            f"of must be one of what the law has been fitted to, "
            f"{quoted(fit.tree['log_likelihood'].data_vars)}, but is {of!r}"
        )
    design = design_of_models(fit, models, new_families)
    values = at_cells(fit, design, seed, typical=kind == "mean")[of][kind]
    _, column = CELL[of]
    names, columns = design.labels("model"), design.labels(column)
    posterior = fit.tree["posterior"]
    return xr.Dataset(
        {
            of: (
                ("chain", "draw", "model", column),
                values.reshape(*values.shape[:2], len(names), len(columns)),
            )
        },
        coords={
            "chain": posterior.coords["chain"],
            "draw": posterior.coords["draw"],
            "model": list(names),
            column: list(columns),
            "family": ("model", [design.labels("family")[f] for f in np.asarray(design.family)]),
        },
    )


def _mixed(parts: dict[str, xr.Dataset], weights: dict[str, float]) -> xr.Dataset:
    """Draws of several laws, each with its share of the number that the first has."""
    stacked = {k: v.stack(sample=("chain", "draw")).reset_index("sample") for k, v in parts.items()}
    rows = shares(weights, {k: v.sizes["sample"] for k, v in stacked.items()})
    chosen = [part.isel(sample=rows[name]) for name, part in stacked.items()]
    joined = xr.concat(chosen, "sample").drop_vars(["chain", "draw"])
    joined = joined.rename(sample="draw").expand_dims(chain=[0])
    joined = joined.assign_coords(draw=np.arange(joined.sizes["draw"]))
    return joined.transpose("chain", "draw", "model", ...)
