"""From a law and observations to a posterior: samplers, compiled programs, diagnostics, the fit."""
