"""The public names: listed once, there at first use, explained, and unmoved by what else is imported."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import scalebayes as sb
from benchmarks.import_graph import ROOT

PACKAGES = sorted(p.parent.name for p in ROOT.glob("*/__init__.py"))


def listed() -> list[tuple[str, str]]:
    """Home and name of each entry of the stub."""
    lines = ast.parse((ROOT / "__init__.pyi").read_text()).body
    imports = [line for line in lines if isinstance(line, ast.ImportFrom)]
    return [(i.module or "", alias.name) for i in imports for alias in i.names]


def explained(value: object) -> bool:
    """Whether it has a docstring of its own; that of a dataclass may be its signature alone."""
    text = getattr(value, "__doc__", None) or ""
    return bool(text.strip()) and not text.startswith(f"{getattr(value, '__name__', '')}(")


def in_a_new_process(script: str) -> None:
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_name_is_listed_once() -> None:
    assert [n for n, times in Counter(name for _, name in listed()).items() if times > 1] == []
    assert sb.__all__ == dir(sb) == sorted(name for _, name in listed())


@pytest.mark.parametrize(("home", "name"), listed(), ids=lambda text: text)
def test_every_name_resolves_and_is_explained(home: str, name: str) -> None:
    value = getattr(sb, name)
    if name == "__version__":
        assert value.split(".")[0].isdigit()
        return
    where = f"scalebayes.{home}".rstrip(".")
    assert value is getattr(importlib.import_module(where), name)
    assert explained(value)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_lists_is_there_and_explained(package: str) -> None:
    module = importlib.import_module(f"scalebayes.{package}")
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    values = {name: getattr(module, name) for name in names if not name.isupper()}
    assert [name for name, value in values.items() if not explained(value)] == []
    assert [name for name, value in values.items() if isinstance(value, ModuleType)] == []


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        sb.nonsense  # noqa: B018


def test_modules_known_by_earlier_paths() -> None:
    from scalebayes import datasets, folds, plots, scoring, skills

    found = [module.__name__ for module in (datasets, folds, plots, scoring, skills)]
    assert found == [
        "scalebayes.datasets",
        "scalebayes.data.folds",
        "scalebayes.plots",
        "scalebayes.evaluation.scoring",
        "scalebayes.skills",
    ]


def test_a_function_is_not_hidden_by_the_package_of_its_name() -> None:
    in_a_new_process(
        "import scalebayes.identifiability.contraction, scalebayes as sb; "
        "assert sb.identifiability.__name__ == 'identifiability', sb.identifiability; "
        "import scalebayes.report; from scalebayes import identifiability; "
        "assert callable(identifiability) and callable(sb.identifiability)"
    )


@pytest.mark.parametrize("package", ["data", "datasets", "plots", "cli"])
def test_packages_without_laws_leave_jax_alone(package: str) -> None:
    in_a_new_process(
        f"import sys, scalebayes.{package}; "
        "assert not {'jax', 'numpyro'} & set(sys.modules), 'it imports JAX or NumPyro'"
    )


def test_the_list_of_names_is_beside_the_package() -> None:
    assert Path(sb.__file__).with_suffix(".pyi").is_file()
