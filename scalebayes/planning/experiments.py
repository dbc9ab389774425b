r"""next_run: the small run that would reduce the uncertainty of a prediction most.

Outcomes y of a candidate run and the predicted score q are drawn jointly from the posterior predictive. The
expected variance of q after the run, E Var(q | y), is the residual variance of the best regression of q on y
(the regression method for the expected value of sample information). Here q is regressed on the logits of the
scores and the logs of the losses of the run, and on their squares. The evaluation noise of q, which no run
reduces, is known and is added afterwards:

    sd_after^2 = E Var(E[q | parameters] | y) + E Var(q | parameters)
    information = log(sd_before / sd_after)

the mutual information of y and q in nats where both are normal.

References:
    Strong, Oakley, Brennan and Breeze, Estimating the expected value of sample information using the
    probabilistic sensitivity analysis sample, 2015. https://doi.org/10.1177/0272989X15575286
    Lindley, On a measure of the information provided by an experiment, 1956.
    https://doi.org/10.1214/aoms/1177728069
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro import handlers
from scipy.special import logit

from scalebayes.data.observations import Observations
from scalebayes.data.schema import description_columns, quoted
from scalebayes.inference.compilation import compiled
from scalebayes.inference.draws import shares
from scalebayes.inference.posterior import Fitted
from scalebayes.prediction.designs import design_of_models, observations_of
from scalebayes.prediction.new_levels import at_draw, check_known, positions
from scalebayes.prediction.reliability import checked, warn_if_far

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

MIN_DISTANCE_TO_BOUNDS = 1e-3
"""Simulated scores are clipped to this distance from 0 and 1, where logits are infinite."""


@checked
def next_run(
    fit: Fitted,
    candidates: pd.DataFrame | Observations,
    predicted: pd.DataFrame | Observations,
    *,
    benchmark: str | None = None,
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Rank candidate runs by how much each would reduce the uncertainty of a prediction, per FLOP.

    The module's docstring has the method: information is the expected log ratio of standard deviations of the
    predicted score before and after the run.

    Args:
        fit: The fit, or an average of fits.
        candidates: Runs that may be trained, as `predict` takes models; each would be evaluated on all benchmarks
            and losses of the fit.
        predicted: The one model to predict, as `predict` takes models; its family may be new, and that of
            candidates.
        benchmark: The benchmark to predict; by default the mean over all.
        new_families: As in `predict`.
        seed: Seed of the simulated outcomes.

    Returns:
        One row per candidate, the most informative per FLOP first: model, family, params, tokens, flops; sd_before and
        sd_after, the standard deviation of the predicted score now and, on average, after the run;
        information (nats) and its Monte Carlo standard error information_se; per_1e20_flops, information per 1e20
        training FLOPs (NaN where tokens are unknown).

    Warns:
        ExtrapolationWarning: As for `predict`, of candidates and of the predicted model.

    Raises:
        ValueError: If a candidate is in the fit already, more than one model is to be predicted, only candidates or
            only the predicted model have a covariate, a name is unknown, or as for `predict`.

    References:
        Strong, Oakley, Brennan and Breeze, Estimating the expected value of sample information using the
        probabilistic sensitivity analysis sample, 2015. https://doi.org/10.1177/0272989X15575286

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame(
        ...     {"model": ["s", "m"], "family": "next", "params": [1e9, 8e9], "tokens": [1e11, 1e12]}
        ... )
        >>> big = pd.DataFrame({"model": ["b"], "family": "next", "params": [70e9], "tokens": [2e12]})
        >>> table = sb.next_run(fit, runs, big, benchmark="mmlu")
        >>> bool((table["sd_after"] <= table["sd_before"]).all())
        True
    """
    runs, wanted = observations_of(fit, candidates), observations_of(fit, predicted)
    target = wanted.models["model"].tolist()
    if len(target) != 1:
        raise ValueError(f"predicted must be one model, but is {quoted(target)}")
    if lacking := sorted({*runs.covariates} ^ {*wanted.covariates}):
        raise ValueError(
            "candidates and predicted must have the same covariates, but only one of them has "
            f"{quoted(lacking)}: add it to the other"
        )
    models = Observations.concat(runs, wanted)
    names = runs.models["model"].tolist()
    found = []
    for _, part, _ in fit.parts:
        if trained := sorted(set(names) & set(part.observations.models["model"])):
            raise ValueError(
                f"the fit has {quoted(trained)} already: name candidates that are not in the fit"
            )
        labels = part.design.labels("benchmark")
        check_known("benchmark", [] if benchmark is None else [benchmark], labels)
        mean, score, log_loss = outcomes(part, models, new_families=new_families, seed=seed)
        at = slice(None) if benchmark is None else [labels.index(benchmark)]
        shown = [logit(np.clip(score[:, :-1], MIN_DISTANCE_TO_BOUNDS, 1 - MIN_DISTANCE_TO_BOUNDS))]
        if "loss" in part.tree["log_likelihood"]:
            shown.append(log_loss[:, :-1])
        of_target = (v[:, -1, at].mean(axis=1) for v in (mean, score))
        found.append((*of_target, np.concatenate(shown, axis=2)))
    warn_if_far(fit, models.models)
    names_of_parts = [part.name for part in fit.parts]
    weights = {part.name: part.weight for part in fit.parts}
    of_parts = dict(zip(names_of_parts, found, strict=True))
    rows = shares(weights, {k: len(f[0]) for k, f in of_parts.items()})
    q, score, y = (np.concatenate([f[i][rows[k]] for k, f in of_parts.items()]) for i in range(3))
    noise = np.mean((score - q) ** 2)
    before = np.var(q, ddof=1)
    left = np.array([_residual_variance(q, y[:, i]) for i in range(len(names))])
    table = runs.models[description_columns(runs.covariates)].reset_index(drop=True)
    information = np.log((before + noise) / (left + noise)) / 2
    explained = np.clip((before - left) / (before + noise), 0.0, 1.0)
    table = table.assign(
        sd_before=np.sqrt(before + noise),
        sd_after=np.sqrt(left + noise),
        information=information,
        information_se=np.sqrt(explained / len(q)),
        per_1e20_flops=information / (table["flops"] / 1e20),
    )
    return table.sort_values(
        ["per_1e20_flops", "information"], ascending=False, ignore_index=True, na_position="last"
    )


def _residual_variance(q: np.ndarray, y: np.ndarray) -> float:
    """Residual variance of the regression of a score on outcomes and their squares.

    Args:
        q: Predicted score, shape (draw,).
        y: Outcomes, shape (draw, outcome).
    """
    z = (y - y.mean(axis=0)) / y.std(axis=0)
    features = np.column_stack([np.ones(len(z)), z, z**2])
    slopes, _, rank, _ = np.linalg.lstsq(features, q, rcond=1e-10)
    residual = float(((q - features @ slopes) ** 2).sum() / (len(q) - rank))
    return min(residual, float(np.var(q, ddof=1)))


def outcomes(
    fit: Fit, models: Observations, *, new_families: Sequence[str] = (), seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulated outcomes of models, one for each posterior draw.

    The scores of all but the last model are drawn given their simulated losses.

    Args:
        fit: The fit.
        models: The models.
        new_families: As in `predict`.
        seed: Seed of the outcomes.

    Returns:
        Expected scores, scores, and log losses; shapes (draw, model, benchmark) twice and (draw, model, domain).
    """
    design = design_of_models(fit, models, new_families)
    n_model = len(models.models)
    shows = np.asarray(design.loss_model) < n_model - 1
    with jax.enable_x64(fit.x64):
        draws = fit.draws()
        n = len(next(iter(draws.values())))
        keys = jax.random.split(jax.random.key(seed), n)
        run = _simulator(fit.law)
        mean, score, log_loss = run(draws, keys, design, positions(fit, design), shows)
    shape = n, n_model, -1
    return (
        np.asarray(mean).reshape(shape),
        np.asarray(score).reshape(shape),
        np.asarray(log_loss).reshape(n, n_model, len(design.labels("domain"))),
    )


@compiled(2)
def _simulator(law: Law) -> Callable[..., Any]:
    """Compiled: from a posterior draw to expected scores, scores and log losses of the models of a design."""

    def one(draw: dict[str, Any], key: Any, design: Design, position: Any, seen: Any) -> Any:
        effects, noise, noise_of_losses = jax.random.split(key, 3)
        model = handlers.seed(at_draw(law, draw, position), effects)
        trace = handlers.trace(model).get_trace(design)
        log_loss = jnp.zeros(design.loss_model.shape[0])
        if "loss" in trace:  # scores of a run depend on its simulated losses
            log_loss = trace["loss"]["fn"].given(design.log_loss).sample(noise_of_losses)
            design = replace(design, log_loss=log_loss, loss_observed=seen)
            trace = handlers.trace(handlers.seed(at_draw(law, draw, position), effects)).get_trace(
                design
            )
        scores = trace["score"]["fn"]
        observed = scores.given(design.score).sample(noise)
        return scores.mean[scores.cell], jnp.clip(observed, 0.0, 1.0), log_loss

    return one
