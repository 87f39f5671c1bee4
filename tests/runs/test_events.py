"""TensorBoard's files: torn anywhere, what was logged before stays; a resumed run has every step once."""

import json
import re
import shutil
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import events
import pytest
from conftest import NO_FIGURES, Command
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

RUN = [
    "trainer.max_epochs=60",
    "callbacks.gradient_monitor.every_n_epochs=10",
    "callbacks.gradient_monitor.histogram_every_n_epochs=10",
    "callbacks.animation=null",
]
KINDS = ("scalars", "histograms", "images")


def records(file: bytes) -> list[int]:
    """Where the records of an event file begin: length, checksum, data, checksum."""
    starts, start = [], 0
    while start < len(file):
        starts.append(start)
        start += 8 + 4 + struct.unpack_from("<Q", file, start)[0] + 4
    assert start == len(file)
    return starts


@pytest.mark.further
def test_an_event_file_torn_at_any_byte_keeps_what_was_logged_before(command: Command, tmp_path: Path) -> None:
    quiet = [
        f"callbacks.{name}=null"
        for name in ("animation", "hidden_units", "loss_curve", "run_summary", "gradient_monitor")
    ]
    run = command("trainer.max_epochs=20", *quiet)
    (path,) = run.folder.glob("events*")
    whole = path.read_bytes()
    *_, before, last = records(whole)
    assert before < last
    loss, tags = events.scalar(run.folder, "train/loss"), set(events.read(run.folder).Tags()["scalars"])
    assert loss.popitem()[0] == 19  # the last record
    torn = tmp_path / "torn" / path.name
    torn.parent.mkdir()
    for length in range(last, len(whole)):
        torn.write_bytes(whole[:length])
        assert events.scalar(torn.parent, "train/loss") == loss
        multiplexer = EventMultiplexer().AddRunsFromDirectory(str(torn.parent)).Reload()  # as tensorboard does
        (shown,) = multiplexer.PluginRunToTagToContent("scalars").values()
        assert set(shown) == tags
        assert [event.step for event in multiplexer.Tensors(".", "train/loss")] == list(loss)


def tear(folder: Path) -> None:
    """Cut the last record of a run's event file in two, as a kill in the midst of a write does."""
    (path,) = folder.glob("events*[0-9]")
    file = path.read_bytes()
    last = records(file)[-1]
    path.write_bytes(file[: (last + len(file)) // 2])


@pytest.mark.further
def test_a_run_that_is_resumed_after_a_kill_shows_each_step_once(command: Command, tmp_path: Path) -> None:
    folder, half = tmp_path / "run", tmp_path / "half"
    checkpoint = folder / "checkpoints" / "last.ckpt"
    # all 60 epochs are logged, the last record is torn, and the checkpoint is that of epoch 30
    assert command(*RUN, "trainer.max_epochs=30", f"hydra.run.dir={half}").status == 0
    assert command(*RUN, f"hydra.run.dir={folder}").status == 0
    straight = logged(folder)
    shutil.copy(half / "checkpoints" / "last.ckpt", checkpoint)
    tear(folder)
    assert command(*RUN, f"hydra.run.dir={folder}", f"ckpt_path={checkpoint}").status == 0

    assert straight["scalars"]["train/loss"] == list(range(60))
    assert all(straight[kind] for kind in KINDS)
    assert logged(folder) == straight
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()  # as tensorboard --load_fast=false
    with events.serving(folder) as (_, address):
        for kind in KINDS:
            for tag, steps in straight[kind].items():
                assert [event.step for event in multiplexer.Tensors(".", tag)] == steps, tag
                assert shown(f"{address}data/plugin/{kind}/{kind}", tag, steps) == steps, tag


@pytest.mark.parametrize(
    "began",
    [
        [0, 0, 0, 0],  # within a second
        [0, -5, -4000, -4000],  # the clock is put back, twice
        [0, 100, 100, 7],
    ],
)
@pytest.mark.further
def test_the_parts_of_a_run_are_read_in_their_order_whatever_their_files_are_called(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began: list[int]
) -> None:
    now, folder = int(time.time()), tmp_path / "run"
    run = [*NO_FIGURES, "callbacks.gradient_monitor=null", f"hydra.run.dir={folder}"]
    for part, seconds in enumerate(began):
        clock = SimpleNamespace(time=partial(int, now + seconds))
        # Each part's host and process come before those of the part before it.
        monkeypatch.setattr("tensorboard.summary.writer.event_file_writer.time", clock)
        monkeypatch.setattr("socket.gethostname", lambda part=part: f"host{9 - part}")
        monkeypatch.setattr("os.getpid", lambda part=part: 9999 - part)
        resumed = [f"ckpt_path={folder}/checkpoints/last.ckpt"] if part else []
        assert command(*run, f"trainer.max_epochs={10 * (part + 1)}", *resumed).status == 0
    assert list(events.scalar(folder, "train/loss")) == list(range(40))
    hosts = [re.findall(r"host\d", path.name) for path in sorted(folder.glob("events*[0-9]"))]
    assert hosts == [["host9"], ["host8"], ["host7"], ["host6"]]
    assert command(*run, "trainer.max_epochs=5").status == 0
    assert list(events.scalar(folder, "train/loss")) == list(range(5))


def logged(folder: Path) -> dict[str, dict[str, list[int]]]:
    """The steps of every tag, by kind."""
    log = events.read(folder)
    return {
        kind: {tag: [event.step for event in getattr(log, kind.title())(tag)] for tag in log.Tags()[kind]}
        for kind in KINDS
    }


def test_tensorboard_listens_to_this_machine_alone(tmp_path: Path) -> None:
    with events.serving(tmp_path) as (pid, address):
        assert address.startswith("http://127.0.0.1:")
        hosts = listening(pid)
    assert "0100007F" in hosts
    assert set(hosts) <= {"0100007F", "0" * 24 + "01000000"}


def shown(address: str, tag: str, expected: list[int]) -> list[int]:
    """The steps that TensorBoard's server shows of a tag, once it has read it all."""
    steps: list[int] = []
    for _ in range(600):  # a minute: TensorBoard hangs
        query = urllib.parse.urlencode({"run": ".", "tag": tag})
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{address}?{query}") as answer:
            steps = [row["step"] if isinstance(row, dict) else row[1] for row in json.load(answer)]
        if steps == expected:
            break
        time.sleep(0.1)
    return steps


def listening(pid: int) -> list[str]:
    """The addresses, in hexadecimal, at which a process and those that it started listen."""
    family = [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    sockets = set()
    for link in (link for member in family for link in Path(f"/proc/{member}/fd").iterdir()):
        with suppress(FileNotFoundError):  # closed meanwhile
            sockets.add(str(link.readlink()))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]


@pytest.mark.parametrize("where", ["version=v1", "name=tb"])
@pytest.mark.further
def test_a_run_that_logs_into_a_directory_of_its_own_choice_is_resumed_and_replaced_there(
    command: Command, tmp_path: Path, where: str
) -> None:
    folder = tmp_path / "run" / where.partition("=")[2]
    run = [f"logger.tensorboard.{where}", f"hydra.run.dir={tmp_path}/run", *RUN[1:], *NO_FIGURES]
    assert command(*run, "trainer.max_epochs=40").status == 0
    resumed = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    assert command(*run, "trainer.max_epochs=60", resumed).status == 0
    assert list(events.scalar(folder, "update/gradient_norm/hidden")) == list(range(0, 61, 10))
    assert list(events.scalar(folder, "train/loss")) == list(range(60))
    # another run in the same directory leaves nothing of the one before
    assert command(*run, "trainer.max_epochs=20", "networks=3").status == 0
    assert list(events.scalar(folder, "update/gradient_norm/hidden")) == [0, 10, 20]
    assert "train/prediction_00" not in events.read(folder).Tags()["scalars"]
    assert command(*run[1:], "trainer.max_epochs=20").status == 0
    assert not list(folder.glob("*"))
