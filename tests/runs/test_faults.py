"""A disk that fills, a directory that goes or turns read-only: one line that names it, and the last good checkpoint."""

import ctypes
import resource
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import forks
import pytest
import torch
from conftest import Command

RUN = ["trainer.max_epochs=5000", "callbacks.checkpoint.every_n_epochs=200"]
REMEDY = "; use hydra.run.dir=<a writable directory with free space>"


def last_line(
    folder: Path,
    *overrides: str,
    before: Callable[[], object] | None = None,
    then: Callable[[], object] | None = None,
) -> str:
    """What a run says that fails, on its own or because of what is done after its first checkpoint."""
    forks.ready()
    output = folder.with_name(f"{folder.name}.out")
    done = folder.with_name(f"{folder.name}.done")
    if then:
        before = partial(forks.hold, "on_train_batch_start", 1000, done, before)
    process = forks.start("train.py", f"hydra.run.dir={folder}", *RUN, *overrides, output=output, before=before)

    def do() -> None:
        (then or bool)()
        done.touch()

    when = (folder / "checkpoints" / "last.ckpt").exists if then else lambda: False
    assert forks.ended(process, when, do) == 1, output.read_text()
    assert "Traceback" not in output.read_text()
    assert "Exception" not in output.read_text()
    return output.read_text().splitlines()[-1]


def check_left(folder: Path) -> None:
    """What a run that failed leaves is whole."""
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] % 200 == 0
    assert not (folder / "metrics.json").exists()
    assert [path.name for path in folder.rglob("*") if path.is_file() and not path.stat().st_size] == ["train.log"]
    assert not list(folder.rglob(".*.*.*"))  # the neighbours of files that were being written


def limit(size: int) -> None:
    """Let no file of this process grow beyond a size."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.further
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    line = last_line(folder, "trainer.logger=false", before=partial(limit, 20_000))
    assert line == f"error: cannot write {folder}/checkpoints/last.ckpt: File too large{REMEDY}"
    check_left(folder)


@pytest.mark.further
def test_an_event_file_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    line = last_line(folder, before=partial(limit, 100_000))
    assert line == f"error: [Errno 27] File too large: '{folder}'{REMEDY}"
    check_left(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount file systems of some KiB."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        disk = tmp_path / f"{size}"
        disk.mkdir()
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", disk], check=True)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            pytest.skip(reason=f"to fill a disk takes mounting one, and so Linux and root: {error}")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize(
    "size", [100, pytest.param(200, marks=pytest.mark.further), pytest.param(400, marks=pytest.mark.slow)]
)
def test_a_full_disk_is_named_and_leaves_the_last_good_checkpoint(small_disk: Callable[[int], Path], size: int) -> None:
    folder = small_disk(size)
    line = last_line(folder)
    assert line.startswith(f"error: cannot write {folder}/") or line.startswith("error: [Errno 28]")
    assert str(folder) in line
    assert line.endswith(REMEDY)
    assert "No space left on device" in line
    check_left(folder)


def test_a_disk_that_is_full_from_the_start_leaves_no_empty_event_file(small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(12)
    line = last_line(folder)
    assert line.startswith(f"error: cannot write {folder}/") or line.startswith(f"error: [Errno 28] {folder}")
    assert line.endswith(f"No space left on device{REMEDY}")
    assert not list(folder.glob("events*"))


def test_a_directory_that_is_moved_away_is_named_and_not_made_anew(tmp_path: Path) -> None:
    folder, away = tmp_path / "run", tmp_path / "away"
    line = last_line(folder, then=lambda: folder.rename(away))
    assert f"{folder}/" in line
    assert "No such file or directory" in line
    assert line.endswith(REMEDY)
    assert not folder.exists()
    check_left(away)


def obey_permissions() -> None:
    """Take from this process, if it is root's, the right to write where it must not."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None, use_errno=True).capset(header, none) == 0


def test_a_directory_that_turns_read_only_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    line = last_line(folder, before=obey_permissions, then=lambda: (folder / "checkpoints").chmod(0o555))
    assert line == f"error: cannot write {folder}/checkpoints/last.ckpt: Permission denied{REMEDY}"
    check_left(folder)


def test_a_directory_that_is_read_only_from_the_start_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o555)
    line = last_line(folder, before=obey_permissions)
    assert line == f"error: cannot write into {folder}: Permission denied{REMEDY}"
    assert list(folder.iterdir()) == []


def test_a_log_that_cannot_be_opened_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "run" / "train.log").mkdir(parents=True)
    run = command(f"hydra.run.dir={tmp_path}/run")
    assert run.status == 1
    assert run.last_line == f"error: [Errno 21] Is a directory: '{tmp_path}/run/train.log'{REMEDY}"
    assert "Epoch 0" not in run.out


@pytest.mark.further
def test_a_line_that_the_log_cannot_take_ends_no_run(tmp_path: Path) -> None:
    forks.ready()
    run = [f"hydra.run.dir={tmp_path}", "trainer.max_epochs=3", "hydra.job_logging.handlers.file.filename=/dev/full"]
    assert forks.ended(forks.start("train.py", *run, output=tmp_path / "out")) == 0
    *table, last = (tmp_path / "out").read_text().splitlines()
    assert last.endswith(f"results in {tmp_path}")
    assert len(table) == 6  # Epoch 0, and the final predictions
    assert (tmp_path / "metrics.json").exists()
