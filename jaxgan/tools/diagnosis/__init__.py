"""Detects what is wrong with a game of generator and discriminator, from the files of a run.

- `log_signals`: signals in the log: gradients, logits, oscillations.
- `sample_signals`: signals of samples next to real examples: collapse, lost modes.
- `texture`: signals finer than a thumbnail: checkerboard, noise, blur.
- `overfitting_signal`: the discriminator's logits of training and held-out images.
- `remedies`: what the literature recommends, as this library's flags; each is a `remedy`.
- `jacobian`: what the eigenvalues of the game's Jacobian say about the learning rates.
- `run_reader`: reads all of this from a run directory.
- `checks`: applies the signals to a run.

A signal is a pure function of arrays to a finding, or to None if nothing is wrong.
"""
