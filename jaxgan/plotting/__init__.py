"""Pictures: grids of images, densities on the plane, pages of captions."""
