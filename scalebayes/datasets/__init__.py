"""Published scores and losses: bundled tables, and larger ones that `get` downloads."""

from scalebayes.data.csv_files import read
from scalebayes.datasets.bundled import (
    BUNDLED,
    benchmark_facts,
    olmo_ladder,
    open_llm,
    provenance,
    source_of,
)
from scalebayes.datasets.downloads import DownloadError, get, sources
from scalebayes.datasets.public import gadre, olmo_ladder_checkpoints, regmix, sloth

__all__ = [
    "BUNDLED",
    "DownloadError",
    "benchmark_facts",
    "gadre",
    "get",
    "olmo_ladder",
    "olmo_ladder_checkpoints",
    "open_llm",
    "provenance",
    "read",
    "regmix",
    "sloth",
    "source_of",
    "sources",
]
