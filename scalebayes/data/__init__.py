"""Tables in: models, scores, losses and mixtures, read, validated and divided into folds."""
