"""What the data identify and what they do not: posterior against prior, group by group."""
