"""Data that travels inside the package."""
