r"""next_run: which small run, once trained, would tell most about a model that is not yet trained.

Outcomes y of a candidate run and the predicted score q are drawn jointly from the posterior predictive. What a
run leaves unknown of q is its expected conditional variance, E Var(q | y), which is the residual variance of
the best regression of q on y (pre-posterior simulation by regression, as for the expected value of sample
information). Here q is regressed on the logits of the scores and the logs of the losses of the run, and on their
squares. Noise of q that no run can take away is known, and added afterwards:

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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

EDGE = 1e-3
"""Simulated scores are held this far from 0 and 1, where logits end."""


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

    Args:
        fit: The fit, or an average of fits.
        candidates: Runs that may be trained and evaluated on all benchmarks and losses of the fit, as
            `predict` takes models.
        predicted: The one model whose score is to be predicted, likewise; it may be of a family that the candidates
            would be the first of.
        benchmark: Its benchmark; by default the mean over all.
        new_families: As in `predict`.
        seed: Seed of the simulated outcomes.

    Returns:
        One row a candidate, the most informative per FLOP first: model, family, params, tokens, flops; sd_before and
        sd_after, the standard deviation of the predicted score now and, on average, after the run;
        information (nats) and its Monte Carlo error information_se; per_1e20_flops, information per 1e20 training
        FLOPs (NaN where tokens are unknown).

    Raises:
        ValueError: If a candidate has been trained already, more than one model is to be predicted, a name
            is unknown, or as for `predict`.
    """
    runs, wanted = observations_of(fit, candidates), observations_of(fit, predicted)
    target = wanted.models["model"].tolist()
    if len(target) != 1:
        raise ValueError(f"predicted must be one model, but is {quoted(target)}")
    models = Observations.concat(runs, wanted)
    names = runs.models["model"].tolist()
    found = []
    for _, part, _ in fit.parts:
        if trained := sorted(set(names) & set(part.observations.models["model"])):
            raise ValueError(
                f"the fit has {quoted(trained)} already: name candidates that it has not"
            )
        labels = part.design.labels("benchmark")
        check_known("benchmark", [] if benchmark is None else [benchmark], labels)
        mean, score, log_loss = outcomes(part, models, new_families=new_families, seed=seed)
        at = slice(None) if benchmark is None else [labels.index(benchmark)]
        shown = [logit(np.clip(score[:, :-1], EDGE, 1 - EDGE))]
        if "loss" in part.tree["log_likelihood"]:
            shown.append(log_loss[:, :-1])
        of_target = (v[:, -1, at].mean(axis=1) for v in (mean, score))
        found.append((*of_target, np.concatenate(shown, axis=2)))
    names_of_parts = [part.name for part in fit.parts]
    weights = {part.name: part.weight for part in fit.parts}
    of_parts = dict(zip(names_of_parts, found, strict=True))
    rows = shares(weights, {k: len(f[0]) for k, f in of_parts.items()})
    q, score, y = (np.concatenate([f[i][rows[k]] for k, f in of_parts.items()]) for i in range(3))
    noise = np.mean((score - q) ** 2)
    before = np.var(q, ddof=1)
    left = np.array([_residual(q, y[:, i]) for i in range(len(names))])
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


def _residual(q: np.ndarray, y: np.ndarray) -> float:
    """Residual variance of the regression of q on outcomes y, shape (draw, outcome), and their squares."""
    z = (y - y.mean(axis=0)) / y.std(axis=0)
    features = np.column_stack([np.ones(len(z)), z, z**2])
    slopes, _, rank, _ = np.linalg.lstsq(features, q, rcond=1e-10)
    residual = float(((q - features @ slopes) ** 2).sum() / (len(q) - rank))
    return min(residual, float(np.var(q, ddof=1)))


def outcomes(
    fit: Fit, models: Observations, *, new_families: Sequence[str] = (), seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What models may show when they are trained and evaluated, at each posterior draw.

    All but the last model show their losses first, and scores that go with them.

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
    """Compiled: one posterior draw to expected scores, scores and log losses of the models of a design."""

    def one(draw: dict[str, Any], key: Any, design: Design, position: Any, seen: Any) -> Any:
        effects, noise, noise_of_losses = jax.random.split(key, 3)
        model = handlers.seed(at_draw(law, draw, position), effects)
        trace = handlers.trace(model).get_trace(design)
        log_loss = jnp.zeros(design.loss_model.shape[0])
        if "loss" in trace:  # the scores of a run are those of the losses that it has shown
            log_loss = trace["loss"]["fn"].given(design.log_loss).sample(noise_of_losses)
            design = replace(design, log_loss=log_loss, loss_observed=seen)
            trace = handlers.trace(handlers.seed(at_draw(law, draw, position), effects)).get_trace(
                design
            )
        scores = trace["score"]["fn"]
        observed = scores.given(design.score).sample(noise)
        return scores.mean[scores.cell], jnp.clip(observed, 0.0, 1.0), log_loss

    return one
