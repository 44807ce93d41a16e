"""What can be wrong with a game between a generator and a discriminator, told from what a run left.

columns:  signals of the log's columns: gradients, verdicts, swings.
samples:  signals of samples beside real examples: collapse, lost modes.
texture:  signals of what is finer than a thumbnail: a checkerboard, noise, blur.
logits:   signals of what the discriminator says of images it has, and has not, trained on.
remedies: what the literature recommends, in the terms of this library's flags; each is a `remedy`.
local:    what the eigenvalues of the game's Jacobian say of its steps.
reading:  what a run directory holds of all this.

A signal is a pure function of arrays to a finding, or to None where nothing is wrong.
"""
