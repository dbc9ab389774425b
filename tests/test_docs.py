"""The pages in docs: their code runs as it is written, and does what they say."""

from __future__ import annotations

import re
import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

import scalebayes as sb
from scalebayes import laws
from scalebayes.cli import laws as shell
from scalebayes.identifiability.remedies import NEEDS
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.model import Law, specification

PAGE = Path(__file__).resolve().parents[1] / "docs" / "add_a_law.md"
LONGEST = 60


def blocks() -> list[str]:
    """The page's blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the page's code defines, run block after block as a module of its own in an empty folder."""
    module = ModuleType("my_package.laws")
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        patched.setitem(sys.modules, module.__name__, module)
        patched.setattr(specification, "_REGISTERED", {**laws.by_name()})
        patched.chdir(tmp_path_factory.mktemp("page"))
        warnings.simplefilter("ignore", ConvergenceWarning)  # its draws are few, as it says
        jax.config.update("jax_disable_most_optimizations", True)
        for block in blocks():
            exec(compile(block, str(PAGE), "exec"), vars(module))
        yield module
        jax.config.update("jax_disable_most_optimizations", False)


def test_the_page_is_short() -> None:
    assert len(PAGE.read_text().splitlines()) < LONGEST


def test_other_priors_make_another_value(page: Any) -> None:
    assert dict(row[:2] for row in sb.priors(page.wide))["b"] == "Normal(0, 3)"
    assert dict(row[:2] for row in sb.priors(sb.Sloth()))["b"] == "Normal(0, 1.5)"
    assert page.wide != sb.Sloth()


def test_sites_say_what_would_inform_them(page: Any) -> None:
    assert {page.Bent().sites["c"].informed_by, page.Sized().sites["a"].informed_by} <= set(NEEDS)


def test_the_laws_are_fitted_with_their_own_sites(page: Any) -> None:
    posterior = {name: fit.tree["posterior"] for name, fit in page.fits.items()}
    assert posterior["bent"]["c"].dims == ("chain", "draw", "benchmark")
    assert posterior["sized"]["a"].dims == ("chain", "draw", "family")


def test_they_are_compared_averaged_and_planned_with(page: Any) -> None:
    assert set(page.weights) == {"bent", "sized"}
    assert sum(page.weights.values()) == pytest.approx(1.0)
    assert list(page.answers["benchmark"]) == ["mmlu", "hellaswag"]
    assert page.answers["mean"].between(0, 1).all()
    assert np.diff(page.chances["probability"])[0] > 0


def test_saved_fits_find_their_laws(page: Any) -> None:
    assert [fit.law for fit in page.loaded] == [page.Bent(), page.Sized()]
    with pytest.raises(ValueError, match=r"load\(path, laws=\[Bent\]\)"):
        sb.load(page.paths[0])


def test_the_registered_law_is_known_to_the_command_line(page: Any) -> None:
    assert shell.make("sized") == page.Sized()
    assert "bent" not in shell.installed()


def test_an_entry_point_makes_a_law_known(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group and the value are those that the page gives."""
    text = PAGE.read_text()
    (stated,) = re.findall(r'\[project\.entry-points\."(.+?)"\]', text)
    ((name, value),) = re.findall(r'`(\w+) = "(\S+:\w+)"`', text)

    def installed(*, group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group)] if group == stated else []

    monkeypatch.setattr(specification, "_REGISTERED", {})
    monkeypatch.setattr(laws, "entry_points", installed)
    known: dict[str, type[Law]] = laws.by_name()
    assert known["Sized"] is page.Sized
