"""Hydra's callback for sweeps, one job, the summary, isolation between jobs."""
