"""Data that are part of the package."""
