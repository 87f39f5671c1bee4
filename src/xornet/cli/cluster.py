"""A run is one process, also on a cluster."""

from lightning.fabric.plugins.environments.lightning import LightningEnvironment


class OneProcess(LightningEnvironment):
    """The cluster environment of a run that does not communicate with other processes.

    A cluster sets environment variables with the number of processes and the rank of each (SLURM_NTASKS, RANK and
    others). A Trainer that finds them assumes a distributed run: it refuses to start, requeues the job on a signal, or
    leaves logging to the process of rank 0. Here every process trains a whole run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_global_rank(0)  # else a rank in the environment would silence loggers and warnings

    def local_rank(self) -> int:
        """The rank on this machine."""
        return 0

    def node_rank(self) -> int:
        """The rank of this machine."""
        return 0
