"""Programs over draws: the same as a loop, and without the batched LAPACK calls that can wait for ever."""

from __future__ import annotations

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import table
from scipy.stats import beta

import scalebayes as sb
from scalebayes.identifiability import prior_and_posterior as unconstrained
from scalebayes.inference import tree
from scalebayes.inference.compilation import BLOCK, FEW_DRAWS, make_room, over_draws
from scalebayes.inference.sampling import site_shapes
from scalebayes.inference.tree import evaluate
from scalebayes.model import design as designs
from scalebayes.prediction import conditioning, simulation
from scalebayes.prediction import pointwise as prediction
from scalebayes.prediction.new_levels import positions


def test_a_program_maps_over_its_first_arguments() -> None:
    run = over_draws(lambda x, y, z: {"sum": x["a"] + y * z}, 2)
    x, y, z = {"a": jnp.arange(3.0)}, jnp.ones((3, 2)), 2.0
    np.testing.assert_array_equal(run(x, y[:, 0], z)["sum"], [2.0, 3.0, 4.0])


@pytest.mark.parametrize("n", [1, BLOCK, 2 * BLOCK + 1, FEW_DRAWS + 1])
def test_any_number_of_draws_is_taken_in_blocks(n: int) -> None:
    run = over_draws(lambda x: x**2, 1)
    np.testing.assert_array_equal(run(np.arange(n)), np.arange(n) ** 2)


def test_tables_of_one_shape_share_programs(fitted: sb.Fit) -> None:
    designs = [
        fitted.design_of(fitted.observations.only(families=[family])) for family in ("f1", "f2")
    ]
    assert len({jax.tree.structure(own) for own in designs}) == 2
    assert len({jax.tree.structure(own.unnamed()) for own in designs}) == 1
    assert designs[0].unnamed().labels("benchmark") == designs[0].labels("benchmark")


def batched(text: str) -> list[str]:
    """LAPACK calls of a lowered program that take more than one matrix."""
    calls = re.findall(r"custom_call @(lapack_\w+)\(.* -> (.*)", text)
    assert calls, "the program calls no LAPACK, or its text has another form"
    return [
        f"{name} {result}"
        for name, result in calls
        for shape in re.findall(r"tensor<([\dx]+)xf\d+>", result)
        if len(sizes := shape.split("x")) > 2 and sizes[0] != "1"
    ]


def test_no_program_batches_lapack(fitted: sb.Fit) -> None:
    law = fitted.law
    draws, design, at = fitted.draws(), fitted.design, positions(fitted, fitted.design)
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), len(draws["s"]))
        losses = np.tile(design.log_loss, (len(keys), 1))
        programs = {
            "evaluator": (tree._evaluator(law, False), (draws,), (design,)),
            "predictor": (prediction._predictor(law), (draws, keys), (design, at)),
            "conditioner": (conditioning._conditioner(law), (draws, keys), (design, at)),
            "side by side": (unconstrained._program(law), (keys, draws), (design,)),
            "simulator": (simulation._simulator(law), (keys, losses), (design,)),
        }
        lowered = {
            name: jax.jit(run.__wrapped__).lower(mapped, shared).as_text()
            for name, (run, mapped, shared) in programs.items()
        }
        everything_at_once = jax.jit(jax.vmap(jnp.linalg.cholesky)).lower(np.ones((5, 2, 2)))
    assert batched(everything_at_once.as_text())
    assert {name: batched(text) for name, text in lowered.items()} == {name: [] for name in lowered}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the maps of a process")
def test_programs_are_forgotten_when_they_hold_too_many_maps() -> None:
    run = jax.jit(lambda x: x + 1)
    run(1.0)
    make_room(share=1.0)
    assert run._cache_size() == 1
    make_room(share=0.0)
    assert run._cache_size() == 0
    assert run(1.0) == 2.0


def test_a_law_made_in_single_precision_is_compiled_in_double() -> None:
    """Beta keeps arrays in the precision in which it was made: log prior densities were off by 1e-6."""
    made = sb.Sloth(skills=1, lineage=True)
    with jax.enable_x64(True):
        exact = sb.Sloth(skills=1, lineage=True)
        design = designs.build(table(3, 2))
        shapes = site_shapes(exact, design)
        z = {name: 0.3 * np.ones((1, 1, *shape)) for name, shape in shapes.items()}
        one, other = (
            evaluate(law, design, z, constrain=True)["log_prior"] for law in (made, exact)
        )
        rho = evaluate(made, design, z, constrain=True)["posterior"]["rho"]
    assert made == exact
    assert one["rho"].item() == other["rho"].item()
    assert one["rho"].item() == pytest.approx(beta(2.0, 2.0).logpdf(rho.item()), rel=1e-12)
