"""What a law of a user's own must declare, and how it is told from others."""

from __future__ import annotations

from typing import Any, cast

import pytest
from conftest import table
from jax import Array
from numpyro import distributions as dist
from numpyro import sample

import scalebayes as sb
from scalebayes.identifiability.remedies import Seen, remedy
from scalebayes.model import Design, specification


def test_a_law_is_told_from_another_where_its_source_cannot_be_read() -> None:
    """As in a notebook: by what its methods, and the functions that they use, compute."""
    text = """
import scalebayes as sb

def helper(x):
    return x{}

class Own(sb.FamilyIntercept):
    def __call__(self, design):
        return helper(super().__call__(design))
"""
    found = []
    for change in ("", "", " + 1"):
        own: dict[str, Any] = {"__name__": "notebook"}
        exec(text.format(change), own)
        found.append(specification.own_code(own["Own"]()))
    assert found[0] == found[1] != found[2]
    assert specification.own_code(sb.FamilyIntercept()) == []


def test_a_prior_of_a_class_that_is_no_dataclass_is_refused() -> None:
    """It would be ignored in favour of the built-in law's."""

    class Wide(sb.FamilyIntercept):
        b: dist.Distribution = sb.prior(lambda: dist.Normal(0.0, 9.0), "wide")

    with pytest.raises(TypeError, match=r"Wide declares the fields \['b'\].*@dataclass"):
        Wide()


def test_a_site_that_is_not_declared_is_named() -> None:
    class Shifted(sb.FamilyIntercept):
        def observe(self, eta: Array, to_score: Any, design: Design, *rest: Any) -> None:
            shift = sample("shift", dist.Normal(0.0, 1.0))
            super().observe(eta + shift, to_score, design, *rest)

    with pytest.raises(ValueError, match=r"samples the site 'shift'.*sb\.site"):
        sb.fit(Shifted(), table(n_family=2, n_size=2), seed=1, progress=False)


def test_an_unknown_kind_of_data_is_named() -> None:
    with pytest.raises(ValueError, match=r"'size'.*but is 'magic'.*declaration"):
        remedy(cast(Seen, None), "magic", [])
