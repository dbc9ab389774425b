"""Import graph of a package: floors, arrows and circles among its parts and among its modules.

    python -m benchmarks.import_graph
    python -m benchmarks.import_graph --root ../before/scalebayes --out out/import_graph_before

Reads the files and imports none of them. A part is a package or a module at the top of the tree. Imports are
of three kinds: run time, nested (in a function) and type only (under `if TYPE_CHECKING`). A circle is a
strongly connected component of two or more members. The number of floors is the length of the longest chain
once each circle counts as one member. The `__init__` of the whole package, which lists its public names, is
left out. `from package import module` counts as an import of the module, and an import of a submodule does
not count as one of the packages around it. Writes summary.json.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).resolve().parents[1] / "scalebayes"

MAX_LINES = 300
"""A longer file should be divided."""

Kind = Literal["run_time", "nested", "type_only"]
KINDS: tuple[Kind, ...] = ("run_time", "nested", "type_only")

Arrow = tuple[str, str]
"""The one that imports, and the one imported."""


class Import(NamedTuple):
    """One name that a module imports.

    Attributes:
        module: Module that imports, without the name of the package: data.folds.
        imported: Module of the package, named alike; the package's own name where the name comes
            from its `__init__`; else the dotted name, with its library.
        own: Whether `imported` is a module of the package.
        kind: When the import runs.
        relative: Whether it is written with leading dots.
    """

    module: str
    imported: str
    own: bool
    kind: Kind
    relative: bool


@dataclass(frozen=True)
class Package:
    """Files and imports of a package.

    Attributes:
        name: Name of its folder.
        lines: Number of lines of each file, by its path in the package.
        modules: Every module without the name of the package; a folder's `__init__` is named by the folder.
        imports: Every import of every module.
    """

    name: str
    lines: dict[str, int]
    modules: tuple[str, ...]
    imports: tuple[Import, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """Packages and modules at the top of the tree."""
        return tuple(dict.fromkeys(map(part, self.modules)))

    def between_modules(self, type_only: bool = True) -> set[Arrow]:
        """Which module imports which other; without imports for the type checker if asked."""
        return {
            (i.module, i.imported)
            for i in self.imports
            if i.own and i.module != i.imported and (type_only or i.kind != "type_only")
        }

    def between_parts(self, type_only: bool = True) -> set[Arrow]:
        """Which part imports which other; without imports for the type checker if asked."""
        arrows = {(part(a), part(b)) for a, b in self.between_modules(type_only)}
        return {(a, b) for a, b in arrows if a != b}


def part(module: str) -> str:
    return module.split(".")[0]


def read(root: Path) -> Package:
    """The package whose files lie in a folder, which names it.

    Raises:
        FileNotFoundError: The folder has no `__init__.py`.
    """
    root = root.resolve()
    if not (root / "__init__.py").is_file():
        raise FileNotFoundError(f"{root} is no package: expected a folder with __init__.py in it")
    files = {p: p.relative_to(root) for p in sorted(root.rglob("*.py"))}
    modules = {p: _module(inside) for p, inside in files.items() if inside != Path("__init__.py")}
    known = set(modules.values())
    lines = {
        p.relative_to(root).as_posix(): len(p.read_text(encoding="utf-8").splitlines())
        for p in sorted([*files, *root.rglob("*.pyi")])
    }
    imports = [i for p, name in modules.items() for i in _imports(p, name, root.name, known)]
    return Package(root.name, lines, tuple(sorted(known)), tuple(imports))


def _module(inside: Path) -> str:
    return ".".join(inside.with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, module: str, package: str, known: Collection[str]) -> Iterator[Import]:
    is_folder = path.name == "__init__.py"
    for node, kind in _statements(ast.parse(path.read_text(encoding="utf-8")), "run_time"):
        level = 0
        if isinstance(node, ast.ImportFrom):
            level = node.level
            around = [package, *module.split(".")]
            around = around[: len(around) - level + is_folder] if level else []
            names = [".".join([*around, *filter(None, [node.module]), a.name]) for a in node.names]
        else:
            names = [alias.name for alias in node.names]
        for name in names:
            top, _, inside = name.partition(".")
            if top != package:
                yield Import(module, name, False, kind, level > 0)
                continue
            while inside and inside not in known:
                inside = inside.rpartition(".")[0]
            yield Import(module, inside or package, bool(inside), kind, level > 0)


def _statements(node: ast.AST, kind: Kind) -> Iterator[tuple[ast.Import | ast.ImportFrom, Kind]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, kind
    elif isinstance(node, ast.If):
        for condition, body in ((node.test, node.body), (_negated(node.test), node.orelse)):
            for statement in body:
                type_only = _is_type_checking(condition)
                yield from _statements(statement, "type_only" if type_only else kind)
    else:
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inner: Kind = "nested" if is_function and kind == "run_time" else kind
        for child in ast.iter_child_nodes(node):
            yield from _statements(child, inner)


def _negated(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(ast.Not(), test)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def components(members: Iterable[str], arrows: Collection[Arrow]) -> list[list[str]]:
    """Strongly connected components: who imports one another, directly or by others."""
    names = sorted(members)
    at = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), dtype=bool)
    for a, b in arrows:
        matrix[at[a], at[b]] = True
    n, labels = connected_components(matrix, connection="strong")
    return [[names[i] for i in np.flatnonzero(labels == k)] for k in range(n)]


def circles(members: Iterable[str], arrows: Collection[Arrow]) -> list[list[str]]:
    """Components of two or more members, the largest first."""
    found = [c for c in components(members, arrows) if len(c) > 1]
    return sorted(found, key=lambda c: (-len(c), c))


def floors(members: Iterable[str], arrows: Collection[Arrow]) -> dict[str, int]:
    """Floor of each member, from 1: one above the highest that it imports; a circle stands on one floor."""
    groups = components(members, arrows)
    group = {name: k for k, names in enumerate(groups) for name in names}
    below: dict[int, set[int]] = {k: set() for k in range(len(groups))}
    for a, b in arrows:
        if group[a] != group[b]:
            below[group[a]].add(group[b])
    floor: dict[int, int] = {}
    for k in TopologicalSorter(below).static_order():
        floor[k] = 1 + max((floor[j] for j in below[k]), default=0)
    return {name: floor[k] for name, k in group.items()}


def too_long(package: Package) -> dict[str, int]:
    """Lines of the files that have more than `MAX_LINES`."""
    return {file: n for file, n in package.lines.items() if n > MAX_LINES}


def figures(package: Package) -> dict[str, Any]:
    """Every figure of the import graph, ready for JSON."""
    folders = {part(file.replace("/", ".")) for file in package.lines if "/" in file}
    distinct = {(i.module, i.imported, i.kind) for i in package.imports if i.own}
    kinds = Counter(kind for _, _, kind in distinct)

    def of(members: Iterable[str], arrows: Collection[Arrow]) -> dict[str, Any]:
        return {
            "floors": max(floors(members, arrows).values(), default=0),
            "arrows": len(arrows),
            "circles": circles(members, arrows),
        }

    def graphs(type_only: bool) -> dict[str, Any]:
        return {
            "parts": of(package.parts, package.between_parts(type_only)),
            "modules": of(package.modules, package.between_modules(type_only)),
        }

    return {
        "package": package.name,
        "parts": len(package.parts),
        "packages": len(folders),
        "modules": len(package.modules),
        "files": len(package.lines),
        "lines": sum(package.lines.values()),
        f"files_over_{MAX_LINES}_lines": too_long(package),
        "imports_between_modules": {kind: kinds[kind] for kind in KINDS},
        "with_type_only": graphs(True),
        "without_type_only": graphs(False),
    }


def table(package: Package) -> str:
    """A line a part, the highest first: floor, modules, lines, and the parts that it imports."""
    arrows = package.between_parts()
    at_run_time = package.between_parts(type_only=False)
    floor = floors(package.parts, arrows)
    rows = [("floor", "part", "modules", "lines", "imports (* for types only)")]
    for name in sorted(package.parts, key=lambda p: (-floor[p], p)):
        modules = sum(part(m) == name for m in package.modules)
        inside = (f"{name}/", f"{name}.py")
        lines = sum(n for file, n in package.lines.items() if file.startswith(inside))
        below = sorted((b for a, b in arrows if a == name), key=lambda p: (-floor[p], p))
        marked = (b if (name, b) in at_run_time else f"{b}*" for b in below)
        rows.append((str(floor[name]), name, str(modules), str(lines), ", ".join(marked)))
    width = max(len(row[1]) for row in rows)
    return "\n".join(
        f"{f:>5}  {p:<{width}} {m:>8} {n:>7}  {below}".rstrip() for f, p, m, n, below in rows
    )


def main() -> None:
    from benchmarks.runs import report  # imports scalebayes, which the graph itself never needs

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the package")
    parser.add_argument("--out", type=Path, default=Path("out/import_graph"))
    args = parser.parse_args()
    package = read(args.root)
    print(table(package))
    report(args, figures(package))


if __name__ == "__main__":
    main()
