"""The floors of the house: imports go down only, and importing does no work."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "scalebayes"

FLOORS = [
    {"version"},
    {"data"},
    {"datasets", "model"},
    {"laws"},
    {"inference"},
    {"prediction"},
    {"skills"},
    {"identifiability", "evaluation", "planning"},
    {"plots"},
    {"report"},
    {"cli"},
]
"""From the ground up; modules of one floor may import one another."""

FLOOR = {name: i for i, floor in enumerate(FLOORS) for name in floor}

HEAVY = {"jax", "numpyro", "arviz_base", "arviz_stats", "arviz_plots", "matplotlib"}
FORBIDDEN = {
    "data": HEAVY,
    "datasets": HEAVY,
    "laws": {"pandas", "xarray", "arviz_base", "arviz_stats", "arviz_plots", "matplotlib"},
    "plots": {"jax", "numpyro"},
}

FILES = sorted(p for p in ROOT.rglob("*.py") if p.name != "__init__.py" or p.parent != ROOT)


def part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports at run time; those for the type checker alone do not count."""
    found = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = part(path)
    for name in imports(path):
        top, *rest = name.split(".")
        assert name != "arviz", "import arviz_base, arviz_stats or arviz_plots"
        assert top not in FORBIDDEN.get(own, set()), f"{own} may not import {top}"
        if top == "scalebayes" and rest and rest[0] in FLOOR:
            assert FLOOR[rest[0]] <= FLOOR[own], f"{own} stands below {rest[0]}"


@pytest.mark.parametrize("path", sorted((ROOT / "laws").glob("*.py")), ids=lambda p: p.name)
def test_a_law_imports_no_other_law(path: Path) -> None:
    laws = {p.stem for p in path.parent.glob("*.py")} - {"__init__"}
    if path.stem in laws:
        named = {n.split(".")[2] for n in imports(path) if n.startswith("scalebayes.laws.")}
        assert not named & laws


def test_every_module_has_a_floor() -> None:
    assert {part(p) for p in FILES} <= set(FLOOR)


def test_import_is_quick() -> None:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import scalebayes"], check=True)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 2.0, f"import took {min(seconds):.1f} s"


def test_importing_every_name_starts_no_backend() -> None:
    script = (
        "from scalebayes import *; import jax._src.xla_bridge as b; "
        "assert not b._backends, 'importing starts a JAX backend'"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_numpyro_is_whole_when_arviz_was_imported_first() -> None:
    # ArviZ 1.3 leaves a lazy numpyro behind, under which `import numpyro.distributions` loads it twice
    script = (
        "import arviz_stats; from scalebayes import *; import numpyro; "
        "numpyro.distributions.distribution.Unit"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
