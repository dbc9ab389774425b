"""predict: a fit and models that need not exist yet to joint predictive draws and their intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from numpyro import handlers
from scipy.special import logsumexp

from scalebayes.data.schema import quoted
from scalebayes.inference.compilation import compiled
from scalebayes.inference.draws import shares
from scalebayes.inference.posterior import Fit, Fitted
from scalebayes.model.effects import local_dim
from scalebayes.prediction.designs import CELL, asked, design_of_models, observations_of
from scalebayes.prediction.new_levels import given, positions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law
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
    models = observations_of(fit, models)
    drawn = {
        name: _draws(part, models, of, kind, new_families, seed) for name, part, _ in fit.parts
    }
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


def log_score(
    fit: Fit, observations: Observations, *, new_families: Sequence[str] = (), seed: int = 0
) -> pd.DataFrame:
    """Log predictive density of scores that the fit has not seen, each on its own.

    Where the fit has seen other scores of the same model, the density is given these.

    Args:
        fit: The fit.
        observations: Models and their scores, on benchmarks of the fit.
        new_families: As in `predict`.
        seed: Seed of the effects of new families.

    Returns:
        The table of scores with a column log_score.
    """
    density = at_cells(fit, asked(fit, observations, new_families), seed)["log_density"]
    flat = density[..., : len(observations.scores)].reshape(-1, len(observations.scores))
    return observations.scores.assign(log_score=logsumexp(flat, axis=0) - np.log(len(flat)))


def joint_log_score(
    fit: Fit, observations: Observations, *, new_families: Sequence[str] = (), seed: int = 0
) -> float:
    """Log predictive density of scores that the fit has not seen, all together.

    For the arguments see `log_score`, whose sum this is only where scores err apart.
    """
    design = asked(fit, observations, new_families)
    joint = at_cells(fit, design, seed, joint=True)["joint_log_density"]
    return float(logsumexp(joint) - np.log(joint.size))


def posterior_predictive(fit: Fit, *, seed: int = 0) -> Fit:
    """Replicate the scores that a fit has seen, to compare them with the observed ones.

    Each replicate has the fitted effects of families and deviations of models; what is drawn anew is
    the noise of each score.

    Args:
        fit: The fit.
        seed: Seed of the replicates.

    Returns:
        The fit with the group posterior_predictive in its tree: `score` of dims (chain, draw,
        score_obs), clipped to [0, 1]. ArviZ's predictive checks find it there, and `save` keeps it.

    Raises:
        ValueError: If the fit has no scores.
    """
    if "score" not in fit.tree["log_likelihood"]:
        raise ValueError("the fit is of losses alone: it has no scores to replicate")
    seen = np.asarray(fit.design.observed)
    observed = fit.tree["log_likelihood"].to_dataset()
    values = at_cells(fit, fit.design, seed)["score"]["score"][..., seen]
    tree = fit.tree.copy()
    tree["posterior_predictive"] = xr.DataTree(
        observed.assign(score=observed["score"].copy(data=values))
    )
    return replace(fit, tree=tree)


def at_cells(
    fit: Fit,
    design: Design,
    seed: int,
    *,
    joint: bool = False,
    typical: bool = False,
    level: np.ndarray | None = None,
) -> dict[str, Any]:
    """Means, observations and log densities at the cells of a design, shape (chain, draw, cell).

    Args:
        fit: The fit.
        design: The cells.
        seed: Seed of what is drawn.
        joint: Whether the joint density of what is not observed is among them.
        typical: Whether a new run is one like the others, and has no luck of its own.
        level: Levels of scores, NaN where there is none, shape (score_obs,): the probabilities to exceed them
            are among them, of each as `above` and of all of a model as `all_above`.
    """
    typical = typical and any(local_dim(fit.law, str(k)) == "run" for k in fit.tree["log_prior"])
    sizes = fit.tree["posterior"].sizes
    shape = sizes["chain"], sizes["draw"]
    with jax.enable_x64(fit.x64):
        keys = jax.random.split(jax.random.key(seed), shape[0] * shape[1])
        run = _predictor(fit.law, joint, typical)
        result = run(fit.draws(), keys, design, positions(fit, design), level)
    return jax.tree.map(lambda v: np.asarray(v).reshape(*shape, -1), result)


@compiled(2)
def _predictor(law: Law, joint: bool = False, typical: bool = False) -> Callable[..., Any]:

    def like_others(site: Any) -> Any:
        run = local_dim(law, site["name"]) == "run"
        return jnp.broadcast_to(site["fn"].mean, site["fn"].shape()) if run else None

    def one(
        draw: dict[str, Any],
        key: Any,
        design: Design,
        position: dict[str, Any],
        level: Any = None,
    ) -> Any:
        effects, noise, noise_of_losses = jax.random.split(key, 3)
        fill = like_others if typical else None
        model = handlers.seed(given(law, draw, position, fill), effects)
        trace = handlers.trace(model).get_trace(design)
        found = {}
        if "score" in trace:
            mu = trace["mu"]["value"][design.score_model, design.score_benchmark]
            score = trace["score"]["fn"].given(design.score)
            found["score"] = {"mean": mu, "score": jnp.clip(score.sample(noise), 0.0, 1.0)}
            found["log_density"] = score.marginal.log_prob(design.score)
            if level is not None:
                found["above"] = score.above(level)
                found["all_above"] = score.all_above(level, noise)
            if joint:
                asked = score.observing(~jnp.asarray(design.observed))
                found["joint_log_density"] = asked.log_prob(design.score)
        if "loss" in trace:
            losses = trace["loss"]["fn"]
            again = losses.given(design.log_loss).sample(noise_of_losses)
            found["loss"] = {
                "mean": jnp.exp(losses.mean[losses.cell]),
                "score": jnp.exp(again),
            }
        return found

    return one
