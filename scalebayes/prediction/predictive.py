"""predict, predictive_draws: predictions of models, existing or planned, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.data.schema import quoted
from scalebayes.inference.draws import shares
from scalebayes.prediction.designs import CELL, design_of_models, observations_of
from scalebayes.prediction.pointwise import at_cells
from scalebayes.prediction.ranges import outside_seen
from scalebayes.prediction.reliability import checked, warn_if_far

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.prediction.designs import Quantity

Kind = Literal["score", "mean"]


@checked
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
    """Predict models on every benchmark, or every loss domain, of a fit, with intervals.

    For a model of the fit (same name, family, size, tokens and covariates) a new evaluation is predicted: its
    deviation from its family is conditional on its seen scores.

    Args:
        fit: The fit, or an average of fits.
        models: One row per model with columns model, family, params (N, a count), tokens (D, a count), the law's
            covariates, and optionally lineage. A missing token count is averaged over. Or observations, of which
            only models and mixtures are used. A model of the fit without a mixture has the one in the fit.
        of: `score`, or `loss` for a law with losses.
        prob: Probabilities of the central intervals.
        kind: `score`, the result of an evaluation, or `mean`, the expected score of a typical model of that
            family, size and tokens, without the noise of evaluations and of single models.
        new_families: New families whose names resemble those of known ones.
        seed: Seed of the predictive draws.

    Returns:
        One row per model and benchmark (or domain): model, family, benchmark, kind (`known family`, or
        `new family`, drawn from the population of families), flops_past and ratio_outside, mean, median, sd, and
        for each probability the ends of the interval, such as lower_90 and upper_90. Scores are in [0, 1], losses
        in the table's units. flops_past is the decades of training FLOPs from the largest model that the fit has
        seen to this one, at most 0 inside the seen range (decades of parameters where FLOPs are unknown);
        ratio_outside is how many decades its tokens per parameter lie below (negative) or above those seen, 0
        inside and NaN where unknown.

    Warns:
        ExtrapolationWarning: If a model lies more than 1.5 decades of FLOPs past those seen, or its tokens per
            parameter more than a decade outside theirs.
        ConvergenceWarning: If the fit, or a part of the average, has not converged.

    Raises:
        ValueError: If the name of an unknown family resembles a known one, a model of the fit has another mixture than
            in the fit, or an argument is out of range.
        ObservationsError: If the table of models is invalid.

    Example:
        >>> table = sb.predict(fit, fit.observations.only(models=["f0-3"]), prob=[0.9])
        >>> table[["model", "benchmark", "kind"]].iloc[0].tolist()
        ['f0-3', 'arc', 'known family']
        >>> bool((table["lower_90"] < table["median"]).all())
        True
    """
    if not prob or not all(0 < p < 1 for p in prob):
        raise ValueError(f"prob must be probabilities between 0 and 1, but is {prob!r}")
    models = observations_of(fit, models)
    draws = predictive_draws(fit, models, of=of, kind=kind, new_families=new_families, seed=seed)
    warn_if_far(fit, models.models)
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
    outside = outside_seen(fit, models.models.set_index("model"))
    flat = values.to_numpy().reshape(len(table), -1)
    return table.join(outside, on="model").assign(**summary(flat, prob))


def summary(draws: np.ndarray, prob: Sequence[float] = (0.5, 0.9)) -> dict[str, np.ndarray]:
    """Summarise draws by mean, median, sd and central intervals.

    Args:
        draws: Shape (row, sample).
        prob: Probabilities of the central intervals.

    Returns:
        Arrays of shape (row,): mean, median, sd, and lower_p and upper_p for each probability p in percent.

    Example:
        >>> import numpy as np
        >>> found = sb.summary(np.arange(101.0)[None], prob=[0.9])
        >>> {k: float(v[0].round(1)) for k, v in found.items()}
        {'mean': 50.0, 'median': 50.0, 'sd': 29.3, 'lower_90': 5.0, 'upper_90': 95.0}
    """
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


@checked
def predictive_draws(
    fit: Fitted,
    models: pd.DataFrame | Observations,
    *,
    of: Quantity = "score",
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> xr.Dataset:
    """Draw from the joint predictive distribution of models and benchmarks, or loss domains.

    Averages over benchmarks, differences between models and probabilities of joint events can be computed draw
    by draw. For the arguments, errors and warnings see `predict`.

    Returns:
        Dataset with `score` of dims (chain, draw, model, benchmark), or `loss` with domain in place of
        benchmark, and the family of each model as a coordinate. The draws of an average are in one
        chain, law after law, in proportion to the weights.

    Example:
        >>> draws = sb.predictive_draws(fit, fit.observations.only(models=["f0-3"]))["score"]
        >>> draws.dims
        ('chain', 'draw', 'model', 'benchmark')
        >>> draws.mean("benchmark").std().item() > 0  # sd of a model's mean score
        True
    """
    models = observations_of(fit, models)
    drawn = {
        name: _draws(part, models, of, kind, new_families, seed) for name, part, _ in fit.parts
    }
    warn_if_far(fit, models.models)
    if len(drawn) > 1:
        return _mixed(drawn, {part.name: part.weight for part in fit.parts})
    return next(iter(drawn.values()))


def _draws(
    fit: Fit,
    models: Observations,
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
            f"of must be a quantity that the law was fitted to, "
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
    """Concatenate draws of several laws in proportion to their weights."""
    stacked = {k: v.stack(sample=("chain", "draw")).reset_index("sample") for k, v in parts.items()}
    rows = shares(weights, {k: v.sizes["sample"] for k, v in stacked.items()})
    chosen = [part.isel(sample=rows[name]) for name, part in stacked.items()]
    joined = xr.concat(chosen, "sample").drop_vars(["chain", "draw"])
    joined = joined.rename(sample="draw").expand_dims(chain=[0])
    joined = joined.assign_coords(draw=np.arange(joined.sizes["draw"]))
    return joined.transpose("chain", "draw", "model", ...)
