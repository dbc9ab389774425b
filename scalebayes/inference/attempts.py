"""Attempts: the draws of one fit as they are judged, of which the best are kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scalebayes.inference import diagnostics
from scalebayes.inference.tree import evaluate, make_tree

if TYPE_CHECKING:
    import xarray as xr

    from scalebayes.inference.diagnostics import Verdict
    from scalebayes.inference.sampling import Sampled
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


class Attempts:
    """Trees and verdicts of the draws that a sampler has had judged.

    Attributes:
        verdicts: Verdicts in the order of the attempts.
        last: The draws that were judged last.
        best: Tree of the attempt with the fewest failed checks, of equals the one with the lowest R-hat.
        verdict: Its verdict.
        seconds: Time that judging took.
    """

    best: xr.DataTree
    verdict: Verdict

    def __init__(self, law: Law, design: Design) -> None:
        """Start without attempts at a law and its data."""
        self._law, self._design = law, design
        self.verdicts: list[Verdict] = []
        self.last: Sampled | None = None
        self.seconds = 0.0

    def judge(self, sampled: Sampled) -> Verdict:
        """Check draws for convergence, and keep them if they are the best so far."""
        started = time.perf_counter()
        sites = evaluate(self._law, self._design, sampled.z, constrain=True)
        tree = make_tree(self._law, self._design, sites, sampled.stats)
        verdict = diagnostics.check(tree, self._law.expected)
        if not self.verdicts or _faults(verdict) <= _faults(self.verdict):
            self.best, self.verdict = tree, verdict
        self.verdicts.append(verdict)
        self.last = sampled
        self.seconds += time.perf_counter() - started
        return verdict


def _faults(verdict: Verdict) -> tuple[int, float]:
    """Number of failed checks, and R-hat where it is known."""
    return len(verdict.failures), verdict.max_rhat if verdict.max_rhat > 0 else 0.0
