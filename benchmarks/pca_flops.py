"""PCA + FLOPs on the published protocol: the point baseline of observational scaling laws.

    python -m benchmarks.pca_flops --out out/pca_flops

Scores of the training models are reduced to principal components, each component is regressed on log
compute with an intercept for each family (a model of one family in training suffices), and the
scores are the back-transformed components, clipped to [0, 1]. The table has the mean absolute error
in points for each leaderboard, number of training models and of components, beside the figure
published for the same method and the best published for any.

Source: Observational scaling laws and the predictability of language model performance,
https://arxiv.org/abs/2405.10938; as a baseline in https://arxiv.org/abs/2412.06540.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from benchmarks.runs import options, report
from benchmarks.sloth_data import BENCHMARKS, protocol, published


def errors(leaderboard: str, n_train: int, components: int) -> pd.DataFrame:
    """Absolute errors of the predicted cells: fold, benchmark, error."""
    observations, folds = protocol(leaderboard, n_train, joint=False)
    models = observations.models.set_index("model")
    scores = observations.scores.pivot(index="model", columns="benchmark", values="score")
    scores = scores.loc[models.index, BENCHMARKS[leaderboard]]
    log_compute = np.log(models["params"].to_numpy(float) * models["tokens"].to_numpy(float))
    family = pd.get_dummies(models["family"]).to_numpy(float)
    inputs = np.column_stack([family, log_compute - log_compute.mean()])
    parts = []
    for number, fold in enumerate(folds):
        train = ~models.index.isin(fold.hidden)
        test = models.index.isin(fold.predicted)
        pca = PCA(components).fit(scores[train])
        line = LinearRegression(fit_intercept=False).fit(
            inputs[train], pca.transform(scores[train])
        )
        predicted = np.clip(pca.inverse_transform(line.predict(inputs[test])), 0, 1)
        error = (scores[test] - predicted).abs().melt(value_name="error")
        parts.append(error.assign(fold=number))
    return pd.concat(parts)


def main() -> None:
    args = options(__doc__).parse_args()
    rows = []
    for leaderboard in BENCHMARKS:
        for n_train in (1, 2):
            for components in (1, 2, 3, 4):
                table = errors(leaderboard, n_train, components)
                mae = table.groupby(["benchmark", "fold"])["error"].mean().groupby("benchmark")
                rows.append(
                    {
                        "leaderboard": leaderboard,
                        "train_models": n_train,
                        "components": components,
                        "mae": round(100 * float(mae.mean().mean()), 3),
                        "published": round(
                            published(leaderboard, n_train, f"pca_d={components}")[1], 3
                        ),
                        "best_published": round(published(leaderboard, n_train)[1], 3),
                    }
                )
    print(pd.DataFrame(rows).to_string(index=False))
    report(args, rows)


if __name__ == "__main__":
    main()
