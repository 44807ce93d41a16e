"""Commands on a finished run: evaluate, diagnose, latents, translate."""
