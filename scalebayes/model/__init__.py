"""What laws are made of: curves, links, likelihoods, the design, and the parts that laws share."""
