from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from scalebayes.data import compute, covariates, observations, tables


@pytest.mark.parametrize("module", [compute, covariates, observations, tables])
def test_examples_of_docstrings(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
