"""Replacements for XLA's own code on CPUs, where it is slow: convolutions and random bits.

No other package of the library imports jax.extend or jax.interpreters.
"""
