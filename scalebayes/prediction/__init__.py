"""From a fit to joint predictive draws: known and new families, conditioning, curves, averages, simulation."""
