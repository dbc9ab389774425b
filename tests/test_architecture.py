"""Imports go down only, and importing does no work.

The graph is that of `python -m benchmarks.import_graph`; imports for the type checker count as others do.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.import_graph import ROOT, Import, circles, figures, floors, part, read, too_long

ORDER = [
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
"""From the ground up: a package imports only those of the sets before its own."""

PLACE = {name: i for i, packages in enumerate(ORDER) for name in packages}

MAX_FLOORS = 12

HEAVY = {"jax", "numpyro", "arviz_base", "arviz_stats", "arviz_plots", "matplotlib"}
FORBIDDEN = {
    "data": HEAVY,
    "datasets": HEAVY,
    "laws": {"pandas", "xarray", "arviz_base", "arviz_stats", "arviz_plots", "matplotlib"},
    "plots": {"jax", "numpyro"},
}
"""Libraries that no module of a package may import at run time."""

PACKAGE = read(ROOT)


def written(imports: list[Import]) -> list[str]:
    return sorted({f"{i.module} imports {i.imported}, {i.kind}" for i in imports})


def between_parts() -> list[Import]:
    return [i for i in PACKAGE.imports if i.own and part(i.module) != part(i.imported)]


def test_the_graph_sees_the_package() -> None:
    arrows = PACKAGE.between_modules()
    assert {("laws.sloth", "model.law"), ("cli", "cli.app")} <= arrows  # two that are sure to stay
    assert {i.kind for i in PACKAGE.imports} == {"run_time", "nested", "type_only"}


def test_modules_form_no_circle() -> None:
    assert circles(PACKAGE.modules, PACKAGE.between_modules()) == []


def test_packages_form_no_circle() -> None:
    assert circles(PACKAGE.parts, PACKAGE.between_parts()) == []


def test_packages_stand_on_few_floors() -> None:
    assert max(floors(PACKAGE.parts, PACKAGE.between_parts()).values()) <= MAX_FLOORS


def test_every_package_has_a_place() -> None:
    assert set(PACKAGE.parts) == set(PLACE)


def test_imports_go_down() -> None:
    up = [i for i in between_parts() if PLACE[part(i.imported)] >= PLACE[part(i.module)]]
    assert written(up) == []


def test_only_the_command_line_uses_the_public_names() -> None:
    # through `scalebayes.fit` any module would reach every other, and the graph would not show it
    around = [i for i in PACKAGE.imports if i.imported == PACKAGE.name and part(i.module) != "cli"]
    assert written(around) == []


def test_no_file_is_long() -> None:
    assert too_long(PACKAGE) == {}


def test_heavy_libraries_stay_where_they_are_needed() -> None:
    heavy = [
        i
        for i in PACKAGE.imports
        if not i.own
        and i.kind != "type_only"
        and i.imported.split(".")[0] in FORBIDDEN.get(part(i.module), set())
    ]
    assert written(heavy) == []


def test_plots_receive_tables() -> None:
    others = [
        i for i in between_parts() if part(i.module) == "plots" and part(i.imported) != "data"
    ]
    assert written(others) == []


def test_arviz_is_never_imported_plainly() -> None:
    # arviz_base, arviz_stats and arviz_plots serve ArviZ 0.8 and 1.x; `import arviz` does not
    assert written([i for i in PACKAGE.imports if i.imported.split(".")[0] == "arviz"]) == []


def test_a_law_imports_no_other_law() -> None:
    laws = {m for m in PACKAGE.modules if m.startswith("laws.")}
    assert written([i for i in PACKAGE.imports if {i.module, i.imported} <= laws]) == []


def test_no_import_is_relative() -> None:
    assert written([i for i in PACKAGE.imports if i.relative]) == []


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two packages and a module: a circle of types among the packages, another inside one of them."""
    files = {
        "__init__.py": "from small.low.a import a\n",
        "top.py": "import small\nimport numpy.linalg\nfrom small import low\nfrom small.high import c\n",
        "high/__init__.py": "",
        "high/c.py": (
            "from typing import TYPE_CHECKING\n"
            "from ..low.a import value\n"
            "if TYPE_CHECKING:\n    from small.high.d import D\n"
            "else:\n    from small.low import b\n"
        ),
        "high/d.py": "def f():\n    from . import c\n    return c\n",
        "low/__init__.py": "",
        "low/a.py": "value = 1\n" * 301,
        "low/b.py": "import typing\nif typing.TYPE_CHECKING:\n    import small.high.c as c\n",
    }
    root = tmp_path / "small"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_graph_of_a_small_package(small: Path) -> None:
    package = read(small)
    assert package.between_modules(type_only=False) == {
        ("top", "low"),
        ("top", "high.c"),
        ("high.c", "low.a"),
        ("high.c", "low.b"),
        ("high.d", "high.c"),
    }
    types = package.between_modules() - package.between_modules(type_only=False)
    assert types == {("high.c", "high.d"), ("low.b", "high.c")}
    assert [i.imported for i in package.imports if i.module == "top" and not i.own] == [
        "small",
        "numpy.linalg",
    ]
    assert {(i.module, i.imported) for i in package.imports if i.relative} == {
        ("high.c", "low.a"),
        ("high.d", "high.c"),
    }
    assert figures(package) == {
        "package": "small",
        "parts": 3,
        "packages": 2,
        "modules": 7,
        "files": 8,
        "lines": 318,
        "files_over_300_lines": {"low/a.py": 301},
        "imports_between_modules": {"run_time": 4, "nested": 1, "type_only": 2},
        "with_type_only": {
            "parts": {"floors": 2, "arrows": 4, "circles": [["high", "low"]]},
            "modules": {"floors": 3, "arrows": 7, "circles": [["high.c", "high.d", "low.b"]]},
        },
        "without_type_only": {
            "parts": {"floors": 3, "arrows": 3, "circles": []},
            "modules": {"floors": 3, "arrows": 5, "circles": []},
        },
    }


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a folder with"):
        read(tmp_path)


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
