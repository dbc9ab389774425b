"""What the sites of each law are called, and what of a design tells about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scalebayes.model.law import Law


class Word(NamedTuple):
    """A site in words.

    Attributes:
        phrase: What the site is.
        need: What tells about it, a name in `identifiability.remedies.NEEDS`; `inputs` for a site whose labels
            say so.
    """

    phrase: str
    need: str


_SCORES = {
    "gamma": Word("floor", "low scores"),
    "u": Word("ceiling", "high scores"),
    "bend": Word("bend of the link", "range of scores"),
    "sigma": Word("noise between evaluations", "extreme scores"),
    "delta": Word("deviations of models on one benchmark", "models"),
    "log_d": Word("unknown token counts", "token counts"),
}
_SLOTH = _SCORES | {
    "lam length": Word("loadings: what skills are worth on a benchmark", "families"),
    "lam angle": Word("loadings: which benchmarks share a skill", "benchmarks"),
    "omega": Word("what is specific to a benchmark", "benchmarks"),
    "b": Word("intercept of a typical family", "families"),
    "s": Word("spread of the slopes over skills", "skills"),
    "B": Word("slopes of a typical family", "inputs"),
    "B_skill": Word("slopes of a typical family, times loadings", "inputs"),
    "tau": Word("spread of families in slopes", "inputs"),
    "z": Word("slopes of single families", "inputs"),
    "z_skill": Word("slopes of single families, times loadings", "inputs"),
    "rho": Word("share of lineages in the spread of families", "lineages"),
    "l": Word("lineages", "lineages"),
    "l_skill": Word("lineages, times loadings", "lineages"),
    "d": Word("intercepts of single families", "scores"),
    "d_skill": Word("intercepts of single families, times loadings", "scores"),
    "kappa": Word("deviations of models in all skills", "models"),
}
_BASELINE = _SCORES | {
    "b": Word("intercept", "scores"),
    "beta": Word("slopes", "inputs"),
    "omega": Word("spread of families", "families"),
    "a": Word("intercepts of single families", "scores"),
}
_TWO_STEPS = _SCORES | {
    "level": Word("level of a loss", "losses"),
    "s": Word("noise of single losses", "losses"),
    "kappa": Word("deviations of runs, in compute", "losses"),
    "tame": Word("how far single runs went wrong", "losses"),
    "G": Word("scale of what the curves leave out, in compute", "compute"),
    "G_at": Word("what the curves leave out, in compute", "compute"),
    "t": Word("scale of what the curve of one loss leaves out", "compute"),
    "g_at": Word("what the curve of one loss leaves out", "compute"),
    "tau": Word("spread of families in losses", "families"),
    "level_f": Word("losses of single families", "losses"),
    "b": Word("accuracy at the median loss", "scores"),
    "omega": Word("spread of families in accuracy", "families"),
    "b_f": Word("accuracy of single families", "scores"),
    "h": Word("scale of what the curves of accuracy leave out", "compute"),
    "h_at": Word("what the curves of accuracy leave out", "compute"),
    "phi": Word("share of item sampling that is a model's own", "models"),
    "nu": Word("what checkpoints of a run share", "checkpoints"),
    "z_run": Word("runs, shared by their checkpoints", "checkpoints"),
    "undecayed": Word("shift of checkpoints under training", "checkpoints"),
    "fall": Word("typical steepness of losses", "inputs"),
    "spread": Word("spread of steepness over losses", "domains"),
    "log_fall": Word("steepness of a loss", "inputs"),
    "e": Word("irreducible share of a typical loss", "compute"),
    "spread_e": Word("spread of irreducible shares over losses", "domains"),
    "z_e": Word("irreducible share of a loss, from the typical", "compute"),
    "tau_fall": Word("spread of families in steepness", "families"),
    "log_fall_f": Word("steepness of single families", "inputs"),
    "slope": Word("what a loss is worth on a typical benchmark", "scores"),
    "slope_spread": Word("spread of that over benchmarks", "more benchmarks"),
    "log_k": Word("what a loss is worth on a benchmark", "range of scores"),
}
_LADDER = _TWO_STEPS | {
    "r": Word("log ratio of the exponents of size and tokens", "compute"),
    "spread_r": Word("spread of the ratio over losses", "domains"),
    "z_r": Word("ratio of the exponents of a loss, from the typical", "compute"),
}
_FLP_M = _TWO_STEPS | {
    "fall": Word("typical steepness of losses", "compute"),
    "log_fall": Word("steepness of a loss", "compute"),
    "a2": Word("typical exponent of a domain's own FLOPs", "mixtures"),
    "spread_a2": Word("spread of that over losses", "domains"),
    "log_a2": Word("exponent of a domain's own FLOPs", "mixtures"),
    "transfer": Word("what a foreign token teaches", "mixtures"),
    "T_root": Word("transfer from a source to a domain, its size", "mixtures"),
    "rho": Word("how the effect of a mixture changes with compute", "mixtures"),
    "spread_rho": Word("spread of that over losses", "domains"),
    "z_rho": Word("that change for a loss, from the typical", "mixtures"),
    "psi": Word("how noise changes with compute", "compute"),
    "uneven": Word("how unevenly losses count", "more benchmarks"),
    "z_p": Word("which losses count on a benchmark", "scores"),
    "U": Word("network: weights of losses", "scores"),
    "U0": Word("network: thresholds", "scores"),
    "V": Word("network: weights of units", "scores"),
}
_WORDS = {
    "Sloth": _SLOTH,
    "SharedIntercept": _BASELINE,
    "FamilyIntercept": _BASELINE,
    "SizeAndTokens": _BASELINE,
    "Ladder": _LADDER,
    "Flp": _TWO_STEPS,
    "FlpM": _FLP_M,
}


def word(law: Law, site: str) -> Word:
    """A site of a law in words; its name where nobody has found any."""
    return _WORDS.get(type(law).__name__, {}).get(site, Word(site, "scores"))
