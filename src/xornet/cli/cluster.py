"""A run is one process, whatever a cluster has started it."""

from lightning.fabric.plugins.environments.lightning import LightningEnvironment


class OneProcess(LightningEnvironment):
    """The environment of a run that shares nothing with other processes.

    A cluster says in the environment how many processes it has started, and which of them this is (SLURM_NTASKS, RANK
    and others). A Trainer that finds such variables takes itself for a part of one run: it refuses to begin, requeues
    the job on a signal, or leaves logging to the process of rank 0. Here every process trains a whole run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_global_rank(0)  # this, or a rank in the environment would silence loggers and warnings

    def local_rank(self) -> int:
        """The rank on this machine."""
        return 0

    def node_rank(self) -> int:
        """The rank of this machine."""
        return 0
