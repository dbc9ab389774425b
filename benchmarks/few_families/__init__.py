"""Simulated tables of one, two and three families, their larger models predicted from the smaller ones."""
