"""Data that travels inside the package: the excerpt of Fashion-MNIST.

`jaxgan.data.fashion` reads it, and `make_excerpt`, which made it, is run by hand. Nothing here is
public.
"""

__all__: list[str] = []
