"""Notebooks: pairs that agree, nothing executed in git, short cells that compute nothing, an answer at the end."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import jupytext
import pytest
from jupytext.compare import NotebookDifference, compare_notebooks

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PAIRS = sorted(FOLDER.glob("*.ipynb"))
FORMAT = "py:percent"

LONGEST = 15
IMPORTS = {"os", "numpy", "pandas", "matplotlib", "scalebayes"}
REDUCTIONS = {"mean", "median", "std", "var", "sum", "prod", "quantile", "corr", "cov", "apply"}
SIZES = {f"SCALEBAYES_{name}" for name in ("DRAWS", "WARMUP", "CHAINS")}


def code(notebook: Any) -> list[str]:
    return [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def fault(source: str) -> str | None:
    """What a cell may not do, or None."""
    if (n := len(source.splitlines())) > LONGEST:
        return f"{n} lines"
    for node in ast.walk(ast.parse(source)):
        named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            named = [str(node.module)]
        if foreign := {name.split(".")[0] for name in named} - IMPORTS:
            return f"imports {', '.join(foreign)}"
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.For) and not printing(node):
            return "has a program of its own"
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Add):
            return f"computes {ast.unparse(node)}"
        if isinstance(node, ast.Attribute) and node.attr in REDUCTIONS:
            return f"computes {ast.unparse(node)}"
    return None


def printing(node: ast.AST) -> bool:
    """Whether a loop prints and does nothing else."""
    return isinstance(node, ast.For) and all(
        isinstance(step, ast.Expr)
        and isinstance(step.value, ast.Call)
        and ast.unparse(step.value.func) == "print"
        for step in node.body
    )


def test_every_notebook_has_a_pair() -> None:
    assert PAIRS
    assert [p.stem for p in PAIRS] == sorted(p.stem for p in FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_pairs_agree(path: Path) -> None:
    try:
        compare_notebooks(
            jupytext.read(path), jupytext.read(path.with_suffix(".py"), fmt=FORMAT), fmt=FORMAT
        )
    except NotebookDifference as difference:
        pytest.fail(f"make notebooks-pair writes {path.name} from its script: {difference}")


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_nothing_that_was_executed_is_in_git(path: Path) -> None:
    for cell in jupytext.read(path)["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_cells_are_short_and_compute_nothing(path: Path) -> None:
    cells = code(jupytext.read(path))
    assert [(f, source) for source in cells if (f := fault(source))] == []
    assert [all(name in cell for name in SIZES) for cell in cells].count(True) == 1


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_a_title_first_and_the_answer_last(path: Path) -> None:
    cells = jupytext.read(path)["cells"]
    assert cells[0]["cell_type"] == cells[-1]["cell_type"] == "markdown"
    assert cells[0]["source"].startswith("# ")
    assert cells[-1]["source"].startswith("## Answer\n")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = 1\n" * 16, "16 lines"),
        ("import scipy.stats", "imports scipy"),
        ("from torch import nn", "imports torch"),
        ("table['a'] / 2", "computes table['a'] / 2"),
        ("draws.mean()", "computes draws.mean"),
        ("def f(): return 1", "has a program of its own"),
        ("for x in y:\n    z = x", "has a program of its own"),
        ("import scalebayes as sb\nfor x in y:\n    print(x)", None),
        ("table[table['kind'] == 'new family'].round(3)", None),
    ],
)
def test_faults_are_found(source: str, found: str | None) -> None:
    assert fault(source) == found
