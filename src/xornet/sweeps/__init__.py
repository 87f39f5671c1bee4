"""Sweeps: Hydra's callback, one job, the summary, isolation between jobs."""
