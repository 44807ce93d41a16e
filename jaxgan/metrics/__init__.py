"""Metrics of what a model has learned, one file per metric.

Metrics that compare sets of images gather their statistics batch by batch (`streaming`). The others
take whole arrays, which are few and small: `modes` takes points, `parzen` and `path_length`
samples, `psnr_ssim` pairs of images, `probes` and `clusters` features, `minimax` logits.
"""
