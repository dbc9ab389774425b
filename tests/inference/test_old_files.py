"""Fits saved in file schema 2 still load and give the same expectations.

The files in `schema_2` hold four posterior draws each of fits to simulated tables.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from numpyro import handlers

import scalebayes as sb

FILES = sorted((Path(__file__).parent / "schema_2").glob("*.nc"))


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest) -> sb.Fit:
    return sb.load(request.param)


def test_there_are_files() -> None:
    assert len(FILES) >= 7


def test_settings_become_a_sampler(old: sb.Fit) -> None:
    assert old.sampler == sb.Nuts(draws=25, warmup=60, chains=2)
    assert old.seed == 3
    assert old.verdict.saturated == int((old.tree["sample_stats"]["tree_depth"] >= 10).sum())


def test_the_law_and_its_data_are_whole(old: sb.Fit, tmp_path: Path) -> None:
    assert old.held_out == ("f0-2", ("f1-0", "arc"))
    assert dataclasses.replace(old.law) == old.law
    again = sb.load(old.save(tmp_path / "again.nc"))
    assert again.law == old.law
    assert again.observations == old.observations
    assert again.provenance == old.provenance


def test_expected_scores_at_a_draw_are_those_of_the_file(old: sb.Fit) -> None:
    """The law of today, at a draw of the file, gives the expected scores and losses that the file holds."""
    expected = [name for name, site in old.law.sites.items() if site.expects]
    stored = {
        k: old.tree["posterior"][k].to_numpy() for k in expected if k in old.tree["posterior"]
    }
    draw = {k: v[3] for k, v in old.draws().items()}

    def story(values: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        model = handlers.substitute(handlers.seed(old.law, 0), values)
        trace = handlers.trace(model).get_trace(old.design)
        return {name: trace[name]["value"] for name in stored}

    with jax.enable_x64(True):
        found = jax.jit(story, compiler_options={"xla_backend_optimization_level": 0})(draw)
    assert stored
    for name, values in stored.items():
        np.testing.assert_allclose(found[name], values.reshape(-1, *values.shape[2:])[3], rtol=1e-9)
