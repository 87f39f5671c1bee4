import json
import re
from pathlib import Path

import pytest
from conftest import SRC, Command

CONF = SRC.parent / "conf"
OPTIONS = sorted(path.relative_to(CONF) for path in CONF.glob("*/*.yaml"))


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_every_option_of_every_group_makes_a_run(command: Command, option: Path) -> None:
    many = "sweeper" in (CONF / option).read_text()
    pictures = ["callbacks.boundary=null", "callbacks.loss_curve=null"] if many else []
    run = command(f"{option.parent}={option.stem}", "trainer.max_epochs=3", *pictures)
    assert run.status == 0, run.err
    results = list(run.folder.rglob("metrics.json"))  # one, or one a job where the option is a sweep
    assert results
    assert all(json.loads(path.read_text())["epochs"] == 3 for path in results)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.parent.name == "experiment"], ids=str)
def test_every_experiment_is_headed_by_its_command(option: Path) -> None:
    package, first, second = (CONF / option).read_text().splitlines()[:3]
    assert package == "# @package _global_"
    assert re.match(rf"# python src/train\.py (-m )?experiment={option.stem}\b", first)
    assert second.startswith("# ")


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=str)
def test_every_file_opens_with_its_purpose(path: Path) -> None:
    assert path.read_text().startswith("# ")


def test_a_callback_is_switched_off_by_one_override(command: Command) -> None:
    names = re.findall(r"^(\w+):$", (CONF / "callbacks" / "default.yaml").read_text(), re.M)
    assert "boundary" in names
    run = command("trainer.max_epochs=3", *(f"callbacks.{n}=null" for n in names))
    assert run.status == 0, run.err
    assert run.out == ""
    files = {path.name for path in run.folder.iterdir() if "tfevents" not in path.name}
    assert files == {".hydra", "train.log", "metrics.json", "networks.csv", "xornet.pt", "hparams.yaml"}
