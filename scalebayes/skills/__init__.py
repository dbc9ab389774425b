"""Latent skills of a Sloth fit: loadings, factor scores and their alignment over draws."""

from scalebayes.skills.tables import Skills, skill_levels, skills

__all__ = ["Skills", "skill_levels", "skills"]
