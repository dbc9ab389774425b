from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalebayes.data.compute import params_and_tokens, training_flops, training_tokens


def test_flops_of_published_models() -> None:
    # sizes, budgets and tokens of Hoffmann et al., table 3
    params, flops = np.array([4e8, 1e9, 1e10]), np.array([1.92e19, 1.21e20, 1.23e22])
    tokens = np.array([8.0e9, 20.2e9, 205.1e9])
    np.testing.assert_allclose(training_flops(params, tokens), flops, rtol=0.003)
    # GPT-3: 3.14e23 FLOPs for 174.6e9 parameters and 300e9 tokens (Brown et al., table D.1)
    assert training_flops(174.6e9, 300e9) == pytest.approx(3.14e23, rel=0.002)


def test_a_budget_is_used_up_at_the_ratio() -> None:
    flops, ratio = np.array([1e18, 5.76e23]), np.array([0.5, 20.0])
    params, tokens = params_and_tokens(flops, ratio)
    np.testing.assert_allclose(6 * params * tokens, flops, rtol=1e-12)
    np.testing.assert_allclose(tokens / params, ratio, rtol=1e-12)
    np.testing.assert_allclose(training_tokens(flops, params), tokens, rtol=1e-12)


def test_unknown_tokens_have_unknown_flops_and_tables_keep_their_index() -> None:
    models = pd.DataFrame({"params": [1e9, 2e9], "tokens": [np.nan, 1e12]}, index=["x", "y"])
    flops = training_flops(models["params"], models["tokens"])
    pd.testing.assert_series_equal(flops, pd.Series([np.nan, 12e21], index=["x", "y"]))
