"""The examples in the docstrings of public names run, and print what they show."""

from __future__ import annotations

import doctest
import sys
from types import ModuleType
from typing import Any

import pytest

import scalebayes as sb
from tests.test_public_names import listed

WITH_EXAMPLES = ("model", "laws", "inference", "prediction", "identifiability")
"""Packages in which every public function and law must have an example."""

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def public() -> list[tuple[str, Any]]:
    """Names and objects of the stub; of a module, those that it lists or defines."""
    found: dict[str, Any] = {}
    for _, name in listed():
        value = getattr(sb, name)
        if isinstance(value, ModuleType):
            own = getattr(value, "__all__", [k for k in vars(value) if not k.startswith("_")])
            members = {f"{name}.{k}": getattr(value, k) for k in own}
            found |= {
                k: v
                for k, v in members.items()
                if str(getattr(v, "__module__", "")).startswith("scalebayes")
            }
        else:
            found[name] = value
    return sorted(found.items())


def examples(name: str, value: Any, given: dict[str, Any]) -> list[doctest.DocTest]:
    """The examples of an object and of its methods; names are those of its module and the given ones."""
    module = sys.modules.get(getattr(value, "__module__", ""))
    globs = {**(vars(module) if module else {}), **given}
    tests = doctest.DocTestFinder().find(value, name, module=module, globs=globs)
    return [test for test in tests if test.examples]


PUBLIC = dict(public())
EXAMPLES = [name for name, value in PUBLIC.items() if examples(name, value, {})]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name: str, fitted: sb.Fit) -> None:
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    for test in examples(name, PUBLIC[name], {"sb": sb, "fit": fitted}):
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize(
    "name",
    [name for home, name in listed() if home.split(".")[0] in WITH_EXAMPLES],
)
def test_public_names_have_examples(name: str) -> None:
    assert examples(name, PUBLIC[name], {}), f"the docstring of {name} shows no example"


def test_a_wrong_example_is_found() -> None:
    def wrong() -> None:
        """Add.

        Example:
            >>> 1 + 1
            3
        """

    wrong.__module__ = __name__
    runner = doctest.DocTestRunner()
    [test] = examples("wrong", wrong, {})
    runner.run(test, out=lambda _: None)
    assert runner.failures == 1
