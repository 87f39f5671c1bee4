"""The atlas: tables of what whole sweeps reached, their fits, and what is drawn of them."""
