"""Code that replaces XLA's own on a CPU, where XLA is slow. Nothing else imports jax.extend or
jax.interpreters.
"""
