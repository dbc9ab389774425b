"""PCA + FLOPs on the published protocol: the point baseline of observational scaling laws.

    python -m benchmarks.pca_flops --out out/pca_flops

Scores of the training models are reduced to principal components, each component is regressed on log
compute with an intercept for each family (a model of one family in training suffices), and the
scores are the back-transformed components, clipped to [0, 1]. The table has the mean absolute error
in points for each leaderboard, number of training models and of components, beside the figure
published for the same method and the best published for any.

Published errors are computed from those that the authors of Sloth released, see `sloth_data`.
Source: Observational scaling laws and the predictability of language model performance,
https://arxiv.org/abs/2405.10938; as a baseline in https://arxiv.org/abs/2412.06540.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from benchmarks.runs import options, report
from benchmarks.sloth_data import BENCHMARKS, PUBLISHED, protocol

PUBLISHED_PCA = {
    ("v1", 1): (7.321, 6.037, 6.343, 6.376),
    ("v1", 2): (9.896, 9.211, 9.155, 9.704),
    ("v2", 1): (6.021, 5.413, 5.471, 5.652),
    ("v2", 2): (5.846, 5.589, 5.466, 6.609),
    ("both", 1): (6.299, 5.897, 5.553, 5.704),
    ("both", 2): (8.830, 8.298, 8.415, 8.619),
}
"""Mean absolute errors of the method with one to four components, in points."""


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
            for components, theirs in enumerate(PUBLISHED_PCA[leaderboard, n_train], start=1):
                table = errors(leaderboard, n_train, components)
                mae = table.groupby(["benchmark", "fold"])["error"].mean().groupby("benchmark")
                rows.append(
                    {
                        "leaderboard": leaderboard,
                        "train_models": n_train,
                        "components": components,
                        "mae": round(100 * float(mae.mean().mean()), 3),
                        "published": theirs,
                        "best_published": PUBLISHED[leaderboard, n_train],
                    }
                )
    print(pd.DataFrame(rows).to_string(index=False))
    report(args, rows)


if __name__ == "__main__":
    main()
