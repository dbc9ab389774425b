"""What the data identify and what they do not: posterior against prior, group by group."""

from scalebayes.identifiability.verdicts import Identifiability, identifiability

__all__ = [
    "Identifiability",
    "identifiability",
]
