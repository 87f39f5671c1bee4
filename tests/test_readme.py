"""The pages, README.md and docs/*.md: every command in them runs, every link leads to a file."""

import json
import math
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NO_FIGURES, SRC, Command
from omegaconf import OmegaConf

ROOT = SRC.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, *pages: Path) -> list[str]:
    """The code blocks of pages, all of them if none is named, in a language."""
    return [
        block for page in pages or PAGES for block in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)
    ]


# Each command once, without its comment
LINES = list(dict.fromkeys(re.sub(r" +# .*", "", line) for block in blocks("console") for line in block.splitlines()))
MANY = 3  # jobs of an experiment: more are slow; test_train.py and tests/atlas run sweeps of a few


def jobs(line: str) -> int:
    """How many jobs an experiment's command has, with what it changes of the swept values."""
    found = re.search(r"experiment=(\w+)", line)
    swept = params(found[1]) if found else {}
    swept |= {word.partition("=")[0]: word.partition("=")[2] for word in shlex.split(line) if "=" in word and found}
    return math.prod(len(re.split(r",(?![^\[]*\])", value)) for value in swept.values())


def params(experiment: str) -> dict[str, str]:
    """What an experiment sweeps, and what the experiments that it begins with do."""
    config: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "experiment" / f"{experiment}.yaml"))
    inherited = [params(other) for other in config.get("defaults", []) if isinstance(other, str)]
    own = config.get("hydra", {}).get("sweeper", {}).get("params", {})
    return {key: str(value) for one in [*inherited, own] for key, value in one.items()}


def is_slow(line: str) -> bool:
    """Whether a command is for `make test-all` alone."""
    return "submitit" in line or jobs(line) > MANY


def mark(line: str) -> "list[pytest.MarkDecorator]":
    """The mark of a command that `make test` leaves out: of those in docs it runs the ones of src/atlas.py alone."""
    is_further = line not in PAGES[0].read_text() and "src/atlas.py" not in line
    return [pytest.mark.slow] if is_slow(line) else [pytest.mark.further] if is_further else []


@pytest.mark.parametrize(
    "line",
    [pytest.param(line, marks=mark(line)) for line in LINES if line.startswith("python ")],
)
def test_every_python_command_runs(command: Command, tmp_path: Path, line: str) -> None:
    """Shortened: 10 epochs, no pictures. RUN stands for the directory of a run, SWEEP for that of a sweep."""
    _, script, *overrides = shlex.split(line)
    trained = tmp_path
    for number, text in enumerate(overrides):
        if re.match("(ckpt_path=)?RUN", text):
            trained = command("trainer.max_epochs=5", *NO_FIGURES).folder
        sweep = tmp_path / "logs" / "train" / "multiruns" / "sweep"
        overrides[number] = text.replace("RUN", str(trained)).replace("SWEEP", str(sweep))
    pictures = [] if is_slow(line) else NO_FIGURES  # the sweeps of the atlas have no callbacks
    short = ["trainer.max_epochs=10", *pictures] if script == "src/train.py" else []
    run = command(*overrides, *short, script=Path(script).name)
    no_gpu = "trainer=gpu" in line and not torch.cuda.is_available()
    assert run.status == (1 if no_gpu else 0), run.err
    if short and not no_gpu:
        folder = trained if "hydra.run.dir=RUN" in line else run.folder
        results = list(folder.rglob("metrics.json"))  # one, or one for each job of a sweep
        assert results
        assert all(json.loads(path.read_text())["epochs"] == 10 for path in results)


@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks("python", page)], ids=lambda page: page.name)
def test_every_python_example_prints_what_its_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks of a page in one session. What a block prints is the comments behind `print` and after the code."""
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {}
    for block in blocks("python", page):
        capsys.readouterr()
        exec(block, session)
        if page.name == "python.md":
            printed = capsys.readouterr().out
            assert printed.splitlines() == re.findall(r"^(?:print\(.*  )?# (.*)$", block, re.M)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make")])
def test_every_make_target_exists(line: str) -> None:
    subprocess.run([*shlex.split(line), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_every_line_of_a_console_block_is_one_of_these() -> None:
    ours = re.compile(r"(python src/|make )|source \.venv/bin/activate$")
    assert [line for line in LINES if not ours.match(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_or_to_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", page.read_text())
    assert links
    assert [link for link in links if not is_there(page.parent / link)] == []


def is_there(link: Path) -> bool:
    """Whether the file exists, and where a heading is named (page.md#heading), has it."""
    path, _, heading = str(link).partition("#")
    headings = re.findall(r"^#+ (.*)$", Path(path).read_text(), re.M) if heading else []
    return Path(path).exists() and heading in ["", *(text.lower().replace(" ", "-") for text in headings)]


def test_every_page_is_reached_from_the_readme() -> None:
    readme = PAGES[0].read_text()
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name}" not in readme] == []


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", text, re.M)
    out = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in out.splitlines()] == targets
    assert {"setup", "train", "test", "lint", "types", "bench", "tensorboard", "clean"} <= set(targets)
