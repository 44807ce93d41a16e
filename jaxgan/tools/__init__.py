"""Commands that look at a finished run: evaluate, diagnose, latents, translate."""
