"""Where the embedded data come from, and under which license."""

from __future__ import annotations

from jaxgan.data import mixtures

_FASHION = (
    "an excerpt of Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, Zalando SE), under the MIT License"
)
_FLOWERS = (
    "3,670 photographs of TensorFlow's `flower_photos`, each under Creative Commons Attribution "
    "2.0, whose photographers are named in `flowers_CREDITS.txt` of the package"
)

_KNOWN = {
    "fashion": _FASHION,
    "fashion-edges": f"made from {_FASHION}",
    "fashion-halves": f"made from {_FASHION}",
    "shoes-bags": f"made from {_FASHION}",
    "fashion-captions": f"made from {_FASHION}, with captions composed from its classes and pixels",
    "flowers": _FLOWERS,
    **{name: "points drawn from a known density" for name in mixtures.MIXTURES},
}


def origin(data: str) -> str | None:
    """Returns where the data come from, with their license, or None if that is not known.

    Args:
        data: The name of the data, as in `data.load`.
    """
    return _KNOWN.get(data)
