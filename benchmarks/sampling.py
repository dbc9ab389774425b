"""Effective samples per second: `fit` against the plain NumPyro program of the same law.

    python -m benchmarks.sampling --out out/sampling

Both sample the full v1 table. The plain program is what one writes from the equations in
`scalebayes.laws.sloth`: skills, slopes and specific terms as standard normal variables, all loadings
free, and NumPyro's MCMC as it is called by default, compiled anew. The figure is the smallest bulk
effective sample size over the expected scores, per second of wall time from call to draws. Both are
the same posterior: the largest difference of means and of sds of the expected scores is given in
Monte Carlo standard errors.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pandas as pd
import xarray as xr
from arviz_stats import ess, mcse, rhat
from numpyro import plate, sample
from numpyro.distributions import Normal

import scalebayes as sb
from benchmarks.runs import options, report, sampler
from benchmarks.sloth_data import protocol
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.model import design as designs
from scalebayes.model.score_law import inputs


def plain(law: sb.Sloth, design: designs.Design) -> None:
    """The default law as its equations read, one standard normal variable for each symbol."""
    n_family, n_benchmark, k = design.lineage.shape[0], design.chance.shape[0], law.skills
    with plate("benchmark", n_benchmark):
        b, omega = sample("b", law.b), sample("omega", law.omega)
    lam = sample("lam", law.lam.expand([n_benchmark, k]).to_event(2))
    s = sample("s", law.s)
    tau = sample("tau", law.tau.expand([2]).to_event(1))[:, None]

    def normal(name: str, *shape: int) -> jax.Array:
        return sample(name, Normal(0.0, 1.0).expand(shape).to_event(len(shape)))

    def slopes(name: str, columns: int) -> jax.Array:
        shared = jnp.tile(s * normal(name, 3, columns), (n_family, 1, 1))
        return shared.at[:, :2].add(tau * normal(f"{name}_f", n_family, 2, columns))

    alpha, e = normal("alpha", n_family, k), normal("e", n_family, n_benchmark)
    beta_f, e_fp = slopes("beta", k), slopes("e_p", n_benchmark)
    x, family = inputs(design), design.family
    theta = alpha[family] + jnp.einsum("ip,ipk->ik", x, beta_f[family])
    specific = e[family] + jnp.einsum("ip,ipj->ij", x, e_fp[family])
    shared = sample("kappa", law.kappa) * lam.T
    law.observe(b + theta @ lam.T + omega * specific, law.response(design), design, shared)


def run_plain(
    law: sb.Sloth, design: designs.Design, args: argparse.Namespace, seed: int
) -> numpyro.infer.MCMC:
    """NumPyro's MCMC of the plain program as it is called by default: a new sampler, compiled anew."""
    mcmc = numpyro.infer.MCMC(
        numpyro.infer.NUTS(lambda d: plain(law, d)),
        num_warmup=args.warmup,
        num_samples=args.draws,
        num_chains=args.chains,
        progress_bar=False,
    )
    mcmc.run(jax.random.key(seed), design, extra_fields=("num_steps", "diverging"))
    return mcmc


def main() -> None:
    args = options(__doc__, draws=1000, warmup=1000, chains=4).parse_args()
    with tempfile.TemporaryDirectory() as empty:  # both are compiled anew
        jax.config.update("jax_compilation_cache_dir", empty)
        compare(args)


def compare(args: argparse.Namespace) -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    observations, _ = protocol("v1", 1, joint=False)
    law = sb.Sloth()

    started = time.perf_counter()
    fit = sb.fit(law, observations, seed=0, sampler=sampler(args))
    seconds = {"scalebayes": time.perf_counter() - started}
    stats = fit.tree["sample_stats"]
    steps = {"scalebayes": float(stats["n_steps"].mean())}
    divergences = {"scalebayes": int(stats["diverging"].sum())}
    mu = {"scalebayes": fit.tree["posterior"]["mu"]}

    with jax.enable_x64(True):
        started = time.perf_counter()
        mcmc = run_plain(law, designs.build(observations), args, seed=0)
        draws = np.asarray(mcmc.get_samples(group_by_chain=True)["mu"])
        seconds["plain"] = time.perf_counter() - started
        extra = {k: np.asarray(v) for k, v in mcmc.get_extra_fields().items()}
    steps["plain"] = float(extra["num_steps"].mean())
    divergences["plain"] = int(extra["diverging"].sum())
    mu["plain"] = xr.DataArray(draws, dims=mu["scalebayes"].dims, coords=mu["scalebayes"].coords)

    rows = {}
    for name, values in mu.items():
        data = values.to_dataset(name="mu")
        smallest = float(ess(data, method="bulk")["mu"].min())
        rows[name] = {
            "min_ess": round(smallest, 1),
            "seconds": round(seconds[name], 1),
            "ess_per_second": round(smallest / seconds[name], 3),
            "max_rhat": round(float(rhat(data)["mu"].max()), 4),
            "leapfrog_steps": round(steps[name], 1),
            "divergences": divergences[name],
        }
    ours, naive = mu["scalebayes"], mu["plain"]
    summary = {
        **rows,
        "ratio": round(rows["scalebayes"]["ess_per_second"] / rows["plain"]["ess_per_second"], 2),
        "cells": int(ours[0, 0].size),
        "mean_difference_in_mcse": distances(ours, naive, "mean"),
        "sd_difference_in_mcse": distances(ours, naive, "sd"),
    }
    print(pd.DataFrame(rows).to_string())
    report(args, summary)


def distances(ours: xr.DataArray, naive: xr.DataArray, method: str) -> dict[str, float]:
    """Differences of a moment over the cells, in Monte Carlo standard errors of the difference."""
    kept = ("chain", "draw")
    moment = xr.DataArray.mean if method == "mean" else xr.DataArray.std
    difference = moment(ours, kept) - moment(naive, kept)
    errors = [mcse(v.to_dataset(name="mu"), method=method)["mu"] for v in (ours, naive)]
    z = (difference / np.hypot(*errors)).to_numpy()
    return {"rms": round(float(np.sqrt((z**2).mean())), 2), "max": round(float(np.abs(z).max()), 2)}


if __name__ == "__main__":
    main()
