"""The laws, one paper a file. A new law is a file here and a line in `LAWS`."""

from scalebayes.laws.baselines import FamilyIntercept, SharedIntercept, SizeAndTokens
from scalebayes.laws.flp import Flp
from scalebayes.laws.flp_m import FlpM
from scalebayes.laws.ladder import Ladder
from scalebayes.laws.sloth import Sloth
from scalebayes.model.law import Law, priors

LAWS: dict[str, type] = {
    "Sloth": Sloth,
    "SharedIntercept": SharedIntercept,
    "FamilyIntercept": FamilyIntercept,
    "SizeAndTokens": SizeAndTokens,
    "Ladder": Ladder,
    "Flp": Flp,
    "FlpM": FlpM,
}
"""Every law by its name; `{"schema": ...}` specifications and the command line refer to it."""

__all__ = [*LAWS, "LAWS", "Law", "priors"]
