"""Where code may live: imports run one way, and other libraries are used through what they document."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SRC

# Each may import those before it, and itself.
ORDER = (
    *("xornet", "validation", "files", "data", "batches", "backprop", "network", "engine", "schema", "checkpoint"),
    *("optimizer_state", "compatibility", "resumption", "table", "hooks", "module", "plots", "runs", "cli"),
    *("callbacks", "gradcheck", "sweeps", "atlas"),
    "scripts",
)
ORDER_OF = {name: number for number, name in enumerate(ORDER)}
FILES = sorted(SRC.rglob("*.py"))


def room(path: Path) -> str:
    """The package or the file on top in which a source file is."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return "scripts" if len(parts) == 1 else "xornet" if parts[1] == "__init__" else parts[1]


def imported(path: Path) -> Iterator[str]:
    """The modules that a source file imports, `xornet.files` for `from xornet import files`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_imports_run_one_way(path: Path) -> None:
    if path.stem == "__init__":
        return  # of the types that it names, to be imported when they are used
    ours = [name.split(".")[1] for name in imported(path) if name.startswith("xornet.")]
    assert [name for name in ours if ORDER_OF[name] > ORDER_OF[room(path)]] == []


def test_the_maths_knows_neither_lightning_nor_hydra() -> None:
    maths = [
        path
        for path in FILES
        if room(path) in ("backprop", "network", "engine", "plots")
        if path.stem not in ("blocks", "consistency", "own", "requirements", "subclasses", "progress", "step_hooks")
    ]
    assert maths
    for path in maths:
        assert [name for name in imported(path) if re.match(r"lightning|hydra|omegaconf", name)] == [], path


def test_no_private_part_of_hydra_is_imported() -> None:
    for path in FILES:
        assert [name for name in imported(path) if name.startswith("hydra._internal")] == [], path
