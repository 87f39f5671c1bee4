"""Hydra's callback for sweeps: it checks all jobs before the first, names them, and writes the summary at the end.

Hydra composes and launches the jobs, in this process or in others, so everything that they share is in the directory
of the sweep.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from xornet import files
from xornet.cli.hydra_callback import DirectoryCallback, ends_the_command
from xornet.cli.planned import parse, product, written
from xornet.runs.differing import distinguishing
from xornet.runs.directory import check_holder
from xornet.runs.lock import locked
from xornet.runs.record import read_jobs
from xornet.runs.undo import expect, expect_settings, is_untouched
from xornet.sweeps import summary
from xornet.sweeps.naming import check_repeated, earlier_jobs, identity
from xornet.sweeps.plan import check_earlier, check_jobs, check_keys
from xornet.sweeps.search import check_search, stored_study

summaries: list[Callable[[], list[str]]] = []  # one for each sweep of this process; each returns lines on failed jobs
UNANSWERED = "No trials are completed yet|Record does not exist"  # of Optuna, without and with a storage
locks = ExitStack()  # on the directories of these sweeps


class SweepCallback(DirectoryCallback):
    """Hydra's callback for training: checks a sweep, names its jobs, and registers it with `summary_at_end`."""

    @ends_the_command
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse a single run with settings that nothing reads."""
        check_keys(config)
        if params := config.hydra.sweeper.get("params"):
            raise ValueError(f"hydra.sweeper.params ({', '.join(params)}) is a sweep, but this is one run; add -m")
        super().on_run_start(config)

    @ends_the_command
    def on_multirun_start(self, config: DictConfig, config_name: str | None = None, **kwargs: Any) -> None:
        """Check all jobs before the first, name them after the swept keys, and register the summary."""
        folder = Path(config.hydra.sweep.dir)
        check_holder(folder, "a sweep")
        hydra: Any = OmegaConf.to_container(config.hydra, resolve=False)
        if re.search(r"\$\{(?!hydra\.)[\w.]+\}", str(hydra["sweep"]["dir"])):  # Hydra resolves it in each job
            said = f"hydra.sweep.dir={hydra['sweep']['dir']} refers to a key that may differ between jobs"
            raise ValueError(f"{said}; use one directory for all jobs")
        earlier, parsed = read_jobs(folder), parse(hydra)
        swept = [key for key, override in parsed.items() if override.is_sweep_override()]
        # One more value of a key that an earlier part has swept is one more job.
        keys = swept + [key for key in distinguishing(earlier) if key in parsed and key not in swept]
        launcher, sweeper = (str(hydra[part].get("_target_")) for part in ("launcher", "sweeper"))
        is_search = "BasicSweeper" not in sweeper  # Optuna chooses the values of each job later
        if is_search:
            check_search(hydra["sweeper"], parsed)

        def compose_job(overrides: Sequence[str]) -> DictConfig:
            return compose(config_name, [*hydra["overrides"]["hydra"], *overrides], return_hydra_config=True)

        fixed = [text for key, override in parsed.items() if key not in keys for text in written(override)]
        jobs = [fixed, fixed] if is_search else product(parsed.values())  # two, to find paths that jobs would share
        check_earlier(folder, earlier, keys, jobs, compose_job)
        check_jobs(jobs, folder, compose_job, keys)

        named = dict.fromkeys([*parsed, *(key for one in earlier for key in one.overrides)])
        constant = [key for key in named if key not in keys]
        taken = 1 + max((each.number for each in earlier), default=-1)
        known = earlier_jobs(str(folder), taken, tuple(constant))
        if known and not is_search:
            check_repeated(jobs, constant, known, folder)
        fresh: Any = [number for number, each in enumerate(jobs) if identity(each, constant) not in known]
        is_stored = bool(hydra["sweeper"].get("storage"))
        trials: Any = (0 if is_stored else hydra["sweeper"].get("n_trials")) if is_search else "null"
        if is_search or not known or any(getattr(one.value(), "shuffle", False) for one in parsed.values()):
            fresh = "null"  # not known yet, or not needed
        subdir = hydra["sweep"]["subdir"].replace(",0,null}", f",{taken},{fresh},{trials}}}")
        expect(folder.absolute())
        folder.mkdir(parents=True, exist_ok=True)
        locks.enter_context(locked(folder))
        expect_settings(folder.absolute())
        with open_dict(config):
            config.hydra.overrides.hydra += [
                f"hydra.job.config.override_dirname.exclude_keys=[{','.join(map(repr, constant))}]",
                f"hydra.sweep.subdir='{subdir}'",
            ]
        if "BasicLauncher" in launcher and "max_failure_rate" in config.hydra.sweeper:  # Optuna, in this process
            config.hydra.sweeper.max_failure_rate = 1.0  # a failed job ends no sweep
        if is_stored and (hydra["sweeper"].get("sampler") or {}).get("seed") is not None:  # to draw other values
            study = stored_study(config.hydra.sweeper)
            config.hydra.sweeper.sampler.seed += len(study.trials if study else earlier)
        summaries.append(partial(summary.write, folder, keys, files.now(folder), "submitit" in launcher, is_stored))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Drop the job's configuration, which Hydra would keep until the sweep ends (0.2 MiB); register its error."""
        job_return.cfg = job_return.hydra_cfg = None
        if config.hydra.mode == RunMode.MULTIRUN and job_return.status == JobStatus.FAILED:  # without an error.txt
            failure = f"error: {Path(config.hydra.runtime.output_dir).name} failed"
            summaries.append(lambda: [failure])


@contextmanager
def summary_at_end() -> Iterator[None]:
    """Write the summary of a sweep when it ends, also by an error or a signal; exit with 1 if a job failed."""
    failed: list[str] = []
    unanswered: ValueError | None = None
    try:
        yield
    except Exception as error:
        if not (isinstance(error, ValueError) and re.search(UNANSWERED, str(error))):
            if is_untouched():  # the launcher has refused the sweep before the first job
                summaries.clear()
            raise
        unanswered = error  # of Optuna: no trial has finished; the failed ones are named below
    finally:
        for summarize in summaries:
            failed += summarize()
        if failed:
            print("\n".join(failed), file=sys.stderr)
        summaries.clear()
        locks.close()
    if failed:
        sys.exit(1)
    if unanswered:
        raise unanswered
