"""Measures of what a model learned, one file each.

What compares sets of images sees them piece by piece (`streaming`). What takes its arrays whole is
of few and small ones: `modes` of points, `parzen` and `path_length` of samples, `psnr_ssim` image
by image, `probes` and `clusters` of features, `minimax` of logits.
"""
