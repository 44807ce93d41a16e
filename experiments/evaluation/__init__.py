"""Reports on finished runs by networks that never saw the model: one module each."""
