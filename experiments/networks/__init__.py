"""Networks of the papers' small experiments."""
