"""What is printed, logged and drawn during a run, and what stops it."""
