"""What laws are made of: curves, links, likelihoods, the design, and the parts that laws share."""

from scalebayes.model.design import Design
from scalebayes.model.law import Law, Source, priors
from scalebayes.model.one_loss import OneLoss
from scalebayes.model.reference import Reference
from scalebayes.model.score_law import ScoreLaw
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.specification import register
from scalebayes.model.two_steps import TwoSteps

__all__ = [
    "Design",
    "Law",
    "OneLoss",
    "Reference",
    "ScoreLaw",
    "Site",
    "Source",
    "TwoSteps",
    "prior",
    "priors",
    "register",
    "site",
]
