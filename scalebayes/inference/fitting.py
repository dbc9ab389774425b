"""fit: a law and observations to a posterior, by NUTS."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import numpyro
from numpyro import handlers
from numpyro.infer.inspect import get_dependencies
from numpyro.infer.util import constrain_fn

from scalebayes.data.folds import hidden, pairs
from scalebayes.inference.compilation import make_room, over_draws, use_compilation_cache
from scalebayes.inference.nuts import sample_chains
from scalebayes.inference.posterior import Fit, make_tree
from scalebayes.laws import LAWS
from scalebayes.model import design as designs
from scalebayes.model.effects import check_mixtures
from scalebayes.model.law import from_specification, specification
from scalebayes.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalebayes.data.folds import Hidden
    from scalebayes.data.observations import Observations
    from scalebayes.model.design import Design, Reference
    from scalebayes.model.law import Law


@dataclass(frozen=True)
class Settings:
    """How to sample.

    Attributes:
        seed: Seed of all random numbers.
        draws: Draws kept per chain.
        warmup: Iterations per chain that adapt step size and mass matrix, not kept.
        chains: Number of chains.
        target_accept: Mean acceptance probability that the step size is adapted to.
        max_tree_depth: Trajectories have at most 2**max_tree_depth steps.
        x64: Whether to compute in double precision.
        chain_method: `threads`, one chain a core, `vectorized`, all in one program (on a GPU only), or
            `auto`: threads on a CPU.
    """

    seed: int
    draws: int = 1000
    warmup: int = 1000
    chains: int = 4
    target_accept: float = 0.9
    max_tree_depth: int = 10
    x64: bool = True
    chain_method: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled."""
        for name in ("draws", "warmup", "chains", "max_tree_depth"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, but is {value!r}")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept must lie between 0 and 1, but is {self.target_accept}")
        if self.chain_method not in ("auto", "threads", "vectorized"):
            raise ValueError(
                f"chain_method must be auto, threads or vectorized, but is {self.chain_method!r}"
            )


def fit(
    law: Law,
    observations: Observations,
    *,
    seed: int,
    draws: int = 1000,
    warmup: int = 1000,
    chains: int = 4,
    target_accept: float = 0.9,
    max_tree_depth: int = 10,
    x64: bool = True,
    chain_method: str = "auto",
    hold_out: Sequence[Hidden] = (),
    staged: bool = False,
    reference: Reference | None = None,
    progress: bool = True,
) -> Fit:
    """Sample the posterior of a law.

    Fits of one law to tables of one shape share a compiled program: use `hold_out` to fit to a part
    of the models, and only the first fit compiles.

    Args:
        law: The law, such as `Sloth()`.
        observations: Validated tables.
        seed: Seed of all random numbers; the same seed gives the same draws.
        draws: Draws kept per chain.
        warmup: Iterations per chain that adapt the sampler, not kept.
        chains: Number of chains.
        target_accept: Mean acceptance probability that the step size is adapted to.
        max_tree_depth: Trajectories have at most 2**max_tree_depth steps.
        x64: Whether to compute in double precision. Single precision is for a GPU.
        chain_method: `threads`, one chain a core, `vectorized`, all in one program (on a GPU only), or
            `auto`: threads on a CPU.
        hold_out: What the law may not see: models, with their scores and losses, or single scores, as
            pairs of model and benchmark.
        staged: Whether to fit the two steps of a law with losses apart, as the papers do: losses tell
            step 1, and the scores of models whose losses were all observed tell step 2 (a cut
            posterior). One fit of both differs where scores have losses missing, which they then tell.
        reference: Where inputs and abilities are measured from; by default medians of the observations.
        progress: Whether to show a progress bar.

    Returns:
        The fit. Its `verdict` says whether the draws can be believed; failures are also warnings.

    Raises:
        ValueError: If a setting is out of range, a model to hold out is unknown or nothing is left, or a
            law without losses is to be fitted in stages.
    """
    settings = Settings(
        seed, draws, warmup, chains, target_accept, max_tree_depth, x64, chain_method
    )
    if chain_method == "vectorized" and jax.default_backend() == "cpu":
        raise ValueError(
            "vectorized chains are for a GPU, on a CPU they can wait for one another: leave out chain_method"
        )
    held = _held_out(observations, hold_out)
    make_room()
    use_compilation_cache()
    started = time.perf_counter()
    with jax.enable_x64(x64):
        design = designs.build(
            observations, ~held["scores"], losses_seen=~held["losses"], reference=reference
        )
        _check_floors(law, design)
        check_mixtures(law, design)
        sampler = _sample_stages if staged else sample_chains
        raw = sampler(law, design, settings, progress)
        sampled = time.perf_counter()
        sites = evaluate(law, design, raw.pop("z"), constrain=True)
    timings = {"sampling": sampled - started, "evaluation": time.perf_counter() - sampled}
    provenance = {
        "settings": asdict(settings),
        "staged": staged,
        "seconds": timings,
        "versions": {
            "scalebayes": __version__,
            "numpyro": numpyro.__version__,
            "jax": jax.__version__,
        },
    }
    result = Fit(
        law=law,
        observations=observations,
        held_out=tuple(dict.fromkeys(hold_out)),
        tree=make_tree(law, design, sites, raw),
        reference=design.reference,
        provenance=provenance,
    )
    result.verdict.warn()
    return result


def _sample_stages(law: Law, design: Design, settings: Settings, progress: bool) -> dict[str, Any]:
    """What `sample_chains` gives, step 1 from a fit to the losses alone and the rest from another."""
    first = _sites_of_losses(law, design)
    n_domain = len(design.labels("domain"))
    n_seen = np.bincount(
        np.asarray(design.loss_model)[np.asarray(design.loss_observed)],
        minlength=len(design.labels("model")),
    )
    complete = (n_seen == n_domain)[np.asarray(design.score_model)]
    scored = np.asarray(design.observed) & complete
    one, two = (
        sample_chains(law, replace(design, observed=seen), settings, progress)
        for seen in (np.zeros_like(scored), scored)
    )
    return {
        "z": {k: (one if k in first else two)["z"][k] for k in two["z"]},
        "diverging": one["diverging"] | two["diverging"],
        "n_steps": np.maximum(one["n_steps"], two["n_steps"]),
        **{k: np.minimum(one[k], two[k]) for k in ("acceptance_rate", "step_size")},
        **{k: one[k] + two[k] for k in ("energy", "lp")},
    }


def _sites_of_losses(law: Law, design: Design) -> set[str]:
    """Names of the sampled sites on which the losses depend."""
    if "loss" not in law.dims or not design.labels("domain"):
        raise ValueError(
            f"staged=True is for laws with losses, but the law is {type(law).__name__}"
            + ("" if "loss" not in law.dims else " and there are no losses")
        )
    upstream = get_dependencies(law, (design,))["prior_dependencies"]
    found: set[str] = set()
    todo = set(upstream["loss"])
    while todo:
        found |= todo
        todo = {site for name in todo for site in upstream.get(name, ())} - found
    return found


def _held_out(observations: Observations, hold_out: Sequence[Hidden]) -> dict[str, np.ndarray]:
    """Which scores and losses are held out."""
    if isinstance(hold_out, str):
        raise ValueError(f"hold_out must be a list of models, but is the text {hold_out!r}")
    known = {*observations.models["model"], *pairs(observations.scores)}
    if unknown := [h for h in hold_out if h not in known]:
        raise ValueError(f"cannot hold out {unknown}: no such model, or score, in the observations")
    held = {k: hidden(getattr(observations, k), hold_out) for k in ("scores", "losses")}
    if held["scores"].all() and held["losses"].all():  # of none, too
        raise ValueError(
            "there are no scores to fit, nor losses: the observations hold none that may be seen"
        )
    return held


def _check_floors(law: Law, design: Design) -> None:
    levels = zip(design.labels("benchmark"), np.isnan(design.chance), strict=True)
    if getattr(law, "floor", None) == "known" and (without := [b for b, nan in levels if nan]):
        raise ValueError(
            f"floor='known' needs the chance level of every benchmark, but there is none for {without}: "
            "give it, or choose floor='learned'"
        )


def evaluate(
    law: Law, design: Design, draws: dict[str, Any], *, constrain: bool = False
) -> dict[str, dict[str, Any]]:
    """Deterministic sites, pointwise log likelihood and log prior at draws of the sampled sites.

    Args:
        law: The law.
        design: The data.
        draws: Values of the sampled sites, each with leading dimensions (chain, draw).
        constrain: Whether the values are on the sampler's unconstrained scale.

    Returns:
        The groups posterior, log_likelihood and log_prior, as `make_tree` takes them.
    """
    run = _evaluator(json.dumps(specification(law)), constrain)
    shape = np.shape(next(iter(draws.values())))[:2]
    sites = run({k: np.reshape(v, (-1, *np.shape(v)[2:])) for k, v in draws.items()}, design)
    return jax.tree.map(lambda v: np.asarray(v).reshape(shape + v.shape[1:]), sites)


@functools.lru_cache(maxsize=16)
def _evaluator(law_json: str, constrain: bool) -> Callable[..., Any]:
    law = from_specification(json.loads(law_json), LAWS)

    def one(values: dict[str, Any], design: Design) -> dict[str, dict[str, Any]]:
        if constrain:
            values = constrain_fn(law, (design,), {}, values)
        model = handlers.substitute(handlers.seed(law, 0), values)
        trace = handlers.trace(model).get_trace(design)
        sampled = {k: s for k, s in trace.items() if s["type"] == "sample"}
        return {
            "posterior": {
                k: s["value"]
                for k, s in trace.items()
                if s["type"] == "deterministic" or (k in sampled and not s["is_observed"])
            },
            "log_likelihood": {
                k: s["fn"].pointwise(s["value"]) for k, s in sampled.items() if s["is_observed"]
            },
            "log_prior": {
                k: s["fn"].log_prob(s["value"]).sum()
                for k, s in sampled.items()
                if not s["is_observed"]
            },
        }

    return over_draws(one, 1)
