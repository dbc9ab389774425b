"""Identifiability: comparison of posterior and prior by groups of parameters, with remedies."""

from scalebayes.identifiability.verdicts import Identifiability, identifiability

__all__ = [
    "Identifiability",
    "identifiability",
]
