"""Parts of a GAN next to its networks: objectives, regularizers, augmentation, and the builders
that turn them into a model.
"""
