"""A run directory: written, read back, compared."""
