import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from conftest import NO_FIGURES, SRC, Command

ROOT = SRC.parent
README = (ROOT / "README.md").read_text()
LINES = [line for block in re.findall(r"```console\n(.*?)```", README, re.S) for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("python ")])
def test_every_python_command_runs(command: Command, line: str) -> None:
    _, script, *overrides = shlex.split(line, comments=True)
    overrides = [re.sub("RUN", lambda _: str(command("trainer.max_epochs=5").folder), text) for text in overrides]
    short = ["trainer.max_epochs=10", *NO_FIGURES] if script == "src/train.py" else []
    run = command(*overrides, *short, script=Path(script).name)
    no_gpu = "accelerator=gpu" in line and not torch.cuda.is_available()
    assert run.status == (1 if no_gpu else 0), run.err
    if short and not no_gpu:
        results = list(run.folder.rglob("metrics.json"))  # one, or one a job of a sweep
        assert results
        assert all(json.loads(path.read_text())["epochs"] == 10 for path in results)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make")])
def test_every_make_target_exists(line: str) -> None:
    subprocess.run([*shlex.split(line), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_every_line_of_a_console_block_is_one_of_these() -> None:
    assert [line for line in LINES if not re.match(r"(python src/|make )", line)] == []


def test_every_linked_file_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", text, re.M)
    out = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in out.splitlines()] == targets
    assert {"setup", "train", "test", "lint", "types", "bench", "tensorboard", "clean"} <= set(targets)
