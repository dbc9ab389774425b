"""Tables of published figures, bundled or read from a folder of larger ones."""

from scalebayes.csv_files import read
from scalebayes.datasets.bundled import (
    BUNDLED,
    benchmark_facts,
    olmo_ladder,
    open_llm,
    provenance,
)
from scalebayes.datasets.public import gadre, olmo_ladder_checkpoints, regmix

__all__ = [
    "BUNDLED",
    "benchmark_facts",
    "gadre",
    "olmo_ladder",
    "olmo_ladder_checkpoints",
    "open_llm",
    "provenance",
    "read",
    "regmix",
]
