"""The models: one module per GAN, each with its networks and a `build` that returns a `GAN`."""
