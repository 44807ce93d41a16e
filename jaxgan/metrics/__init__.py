"""Measures of what a model learned, one file each."""
