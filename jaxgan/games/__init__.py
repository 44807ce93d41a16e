"""The parts of a GAN other than its networks.

Objectives, regularizers, augmentation, and the builders that assemble them into a model.
"""
