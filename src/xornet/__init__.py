"""The XOR experiment: one or many small networks, trained by gradient descent inside Lightning."""

import warnings

# Lightning, about itself and about work that a table of four rows does not have.
warnings.filterwarnings("ignore", message=".*does not have many workers.*")
warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)` is deprecated.*")
