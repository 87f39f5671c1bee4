"""The atlas: tables of the results of whole sweeps, laws fitted to them, and pictures."""
