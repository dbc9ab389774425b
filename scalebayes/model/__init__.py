"""What laws are made of: curves, links, likelihoods, the design, and the parts that laws share."""

from scalebayes.model.design import Design, Reference
from scalebayes.model.law import Law, prior, priors

__all__ = [
    "Design",
    "Law",
    "Reference",
    "prior",
    "priors",
]
