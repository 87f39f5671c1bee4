"""How an epoch is computed fast, and how Lightning counts it."""
