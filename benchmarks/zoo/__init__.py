"""Every real table that the project can reach, its larger models held out: laws beside simple opponents."""
