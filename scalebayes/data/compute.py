"""Training FLOPs from parameters and training tokens, and back.

References:
    Kaplan et al., Scaling laws for neural language models, 2020. https://arxiv.org/abs/2001.08361
    Hoffmann et al., Training compute-optimal large language models, 2022.
    https://arxiv.org/abs/2203.15556
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pandas as pd

FLOPS_PER_PARAM_TOKEN = 6.0
"""FLOPs per parameter and training token of a dense transformer: 2 forward and 4 backward."""

Values = TypeVar("Values", float, np.ndarray, pd.Series)
Arrays = TypeVar("Arrays", float, np.ndarray)


def training_flops(params: Values, tokens: Values) -> Values:
    """Return the training FLOPs C = 6 N D of a dense transformer.

    Args:
        params: Parameters N, counts.
        tokens: Training tokens D, counts, of the shape of `params`; NaN where unknown.

    Returns:
        FLOPs of that shape, NaN where the tokens are unknown.

    Example:
        >>> training_flops(1e9, 20e9)
        1.2e+20
    """
    return FLOPS_PER_PARAM_TOKEN * params * tokens


def training_tokens(flops: Values | float, params: Values) -> Values:
    """Return the tokens D = C / (6 N) on which a budget trains a model of a given size.

    Args:
        flops: Training FLOPs C.
        params: Parameters N, counts; `flops` has their shape or is a number.

    Example:
        >>> training_tokens(1.2e20, 1e9)
        20000000000.0
    """
    return flops / FLOPS_PER_PARAM_TOKEN / params


def params_and_tokens(flops: Arrays, tokens_per_param: Arrays | float) -> tuple[Arrays, Arrays]:
    """Return the size N = sqrt(C / (6 r)) and the tokens D = r N that use up a training budget.

    Args:
        flops: Training FLOPs C.
        tokens_per_param: The ratio r = D / N, a number or of the shape of `flops`.

    Returns:
        Parameters and training tokens, counts, each of the shape of `flops`.

    Example:
        >>> params, tokens = params_and_tokens(1.2e20, 20.0)
        >>> float(params), float(tokens)
        (1000000000.0, 20000000000.0)
    """
    params = np.sqrt(flops / (FLOPS_PER_PARAM_TOKEN * tokens_per_param))
    return params, tokens_per_param * params
