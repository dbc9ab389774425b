"""Questions asked before training: targets, budgets, allocation, contests, next runs, mixtures."""
