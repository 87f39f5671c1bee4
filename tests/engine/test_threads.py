import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import fit
from lightning.pytorch.callbacks import LambdaCallback

from xornet.engine.threads import WORTH_THREADS, cores


def test_few_networks_use_one_thread_and_many_use_every_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    for networks, threads in ((WORTH_THREADS, cores()), (2, 1)):
        found: list[int] = []
        note = LambdaCallback(on_train_start=lambda *_, found=found: found.append(torch.get_num_threads()))
        fit(tmp_path, 2, [note], networks=networks)
        assert found == [threads]
        assert torch.get_num_threads() == 3  # for what else a notebook does
    torch.set_num_threads(before)


def test_every_core_is_used_where_the_platform_does_not_say_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores() == os.cpu_count()


def test_omp_num_threads_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    fit(tmp_path, 2, networks=2)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.mark.further
def test_threads_of_a_command_sleep_while_they_wait_unless_a_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for given, expected in ((None, "passive"), ("active", "active")):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        if given:
            monkeypatch.setenv("OMP_WAIT_POLICY", given)
        code = "from xornet.cli import startup; import os; print(os.environ['OMP_WAIT_POLICY'])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
