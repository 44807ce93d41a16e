"""Figures of generated samples: image grids, densities of toy data, pages of captions."""
