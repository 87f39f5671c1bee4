"""What the files of conf/ refer to by a name of ours."""

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from xornet.cli import guard
from xornet.runs.directory import claim
from xornet.sweeps import naming


def register() -> None:
    """Tell Hydra: resolvers, and the options `open`, in which any argument of a class can be set without a `+`."""
    guard.install()
    OmegaConf.register_new_resolver("claim", claim, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("job_name", naming.job_name, replace=True)
    for group in ("trainer", "optimizer"):
        ConfigStore.instance().store(group=group, name="open", node=OmegaConf.create({}, flags={"struct": False}))
