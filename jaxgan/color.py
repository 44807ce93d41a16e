"""Weights of the color channels in brightness."""

from __future__ import annotations

LUMA = (0.299, 0.587, 0.114)
"""The fractions of red, green and blue in the luma of a color (ITU-R BT.601)."""
