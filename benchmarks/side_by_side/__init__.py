"""Measures both sides in separate processes and alternating turns, after checking equal work."""
