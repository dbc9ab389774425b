"""Hierarchical Bayesian scaling laws: how accurate a model not yet trained will be, and how sure.

The public names are listed in `__init__.pyi`. Each is imported where it is first used, so that
`import scalebayes` is quick.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
