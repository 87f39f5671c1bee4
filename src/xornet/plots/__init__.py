"""Pictures: functions from arrays to a matplotlib Figure, one file per picture."""
