"""Start-up, errors in one line, Hydra's resolvers and checks."""
