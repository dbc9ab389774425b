"""Base language models of 42 families on 13 benchmarks; the laws were developed on this table."""

import scalebayes as sb
from benchmarks.zoo.table import Table, larger

ROLE = "development"


def table() -> Table:
    observations = sb.datasets.open_llm()
    return Table(observations, larger(observations, keep=2))


TABLES = {"open_llm": table}
