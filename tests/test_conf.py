import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import NO_FIGURES, SRC, Command
from test_readme import LINES, is_slow, jobs

from xornet.cli.overrides import GLOBAL

CONF = SRC.parent / "conf"
EXTRAS = ("mlflow", "wandb")  # options that need a package of their name
OPTIONS = sorted(path.relative_to(CONF) for path in CONF.glob("*/*.yaml"))


DEVICES = {"trainer/gpu.yaml": torch.cuda.is_available(), "trainer/mps.yaml": torch.backends.mps.is_available()}
NO_DEVICE = [option for option, is_there in DEVICES.items() if not is_there]


def choice(option: Path) -> str:
    """The override that chooses an option."""
    return f"{option.parent}={option.stem}"


def is_shown(option: Path) -> bool:
    """Whether a command of the README, each of which test_readme.py runs, is about this option."""
    return any(choice(option) in line.split() for line in LINES)


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=pytest.mark.slow if is_slow(choice(option)) else [])
        for option in OPTIONS
        if not is_shown(option)
    ],
    ids=str,
)
def test_every_other_option_of_every_group_makes_a_run(command: Command, option: Path) -> None:
    if option.stem in EXTRAS:
        pytest.importorskip(option.stem, reason=f"{option.stem} is not installed: pip install '.[{option.stem}]'")
    has_none = is_slow(choice(option))  # the sweeps of the atlas have no callbacks
    pictures = [] if option.parent.name == "callbacks" or has_none else NO_FIGURES
    run = command(choice(option), "trainer.max_epochs=3", *pictures)
    if str(option) in NO_DEVICE:
        assert run.status == 1
        assert run.last_line.endswith("use trainer.accelerator=cpu")
        return
    assert run.status == 0, run.err
    results = [json.loads(path.read_text()) for path in run.folder.rglob("metrics.json")]  # of every job
    assert len(results) == jobs(choice(option))
    assert {result["epochs"] for result in results} == {1 if option.stem == "fdr" else 3}


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.parent.name in GLOBAL], ids=str)
def test_every_file_that_overrides_others_is_headed_by_its_command(option: Path) -> None:
    package, first, second = (CONF / option).read_text().splitlines()[:3]
    assert package == "# @package _global_"
    assert re.match(rf"# python src/train\.py (-m )?{option.parent}={option.stem}\b", first)
    assert second.startswith("# ")


@pytest.mark.further
def test_an_experiment_that_would_be_ignored_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    files = {
        "no_package": "model:\n  hidden: [2]\n",
        "typo": "# @package _global_\noptimiser:\n  lr: 2\n",
        "own_key": "# @package _global_\nscale: 2\noptimizer:\n  lr: ${scale}\n",
    }
    for name, text in files.items():
        (tmp_path / "conf" / "experiment" / f"{name}.yaml").write_text(text)
    refused = {
        "experiment=no_package": "experiment=no_package sets nothing; use # @package _global_",
        "-m experiment=no_package,linear": "experiment=no_package sets nothing; use # @package _global_",
        "experiment=typo": "experiment=typo: optimiser is no key of the configuration; use one of data, model",
        "-m experiment=glob(lr*)": "experiment=lr_by_width is itself a sweep, over optimizer.lr, model.hidden",
        "-m experiment=lr_sweep,linear": "experiment=lr_sweep is itself a sweep, over optimizer.lr; use it alone",
        "-m experiment=glob(zz*)": "experiment=glob(zz*) names no value; use a list of values",
        "experiment=lr_sweep hydra.mode=RUN": "hydra.sweeper.params (optimizer.lr) is a sweep, but this is one run",
    }
    search = [f"hydra.searchpath=[{tmp_path}/conf]", "trainer.max_epochs=3", *NO_FIGURES]
    for line, cause in refused.items():
        run = command(*line.split(), *search)
        assert run.status == 1
        assert cause in run.last_line
    assert not list(tmp_path.rglob("metrics.json"))
    assert command("experiment=own_key", *search).status == 0
    assert command("+own=1", *search[1:]).status == 0  # a note
    for reference in ("${oc.select:own.epochs,9}", "${..own.epochs}", "${ own.epochs }"):
        run = command("+own.epochs=2", search[0], *search[2:], f"trainer.max_epochs={reference}")
        assert run.metrics["epochs"] == 2


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=str)
def test_every_file_opens_with_its_purpose(path: Path) -> None:
    assert path.read_text().startswith("# ")


PRINTS = [
    *("--cfg job", "--cfg hydra", "--cfg all", "--cfg job --resolve", "--cfg hydra --resolve", "--cfg all --resolve"),
    *(f"--info {what}" for what in ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")),
    *("--help", "--help --resolve", "--hydra-help", "--cfg job --package trainer", "--cfg job experiment=width"),
]


@pytest.mark.parametrize("script", ["train.py", pytest.param("eval.py", marks=pytest.mark.slow)])
@pytest.mark.parametrize("line", PRINTS)
def test_printing_a_configuration_writes_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, line: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run = command(*line.split(), script=script)
    assert "Traceback" not in run.err
    assert list(tmp_path.rglob("*")) == [tmp_path / "here"]
    if "experiment" not in line and script == "train.py":
        assert run.status == 0, run.err
        assert run.out


@pytest.mark.parametrize("option", ["--config-path", "--config-dir"])
@pytest.mark.further
def test_a_run_again_from_its_own_configuration_writes_where_every_run_writes(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    first = command("trainer.max_epochs=3", "seed=7", f"hydra.run.dir={tmp_path}/mine", *NO_FIGURES)
    again = command(option, f"{tmp_path}/mine/.hydra", "--config-name", "config")
    assert (first.status, again.status) == (0, 0), again.err
    assert again.folder.parent == tmp_path / "logs" / "train" / "runs"
    assert (again.folder / "networks.csv").read_bytes() == (tmp_path / "mine" / "networks.csv").read_bytes()
    assert (again.folder / ".hydra" / "config.yaml").read_bytes() == (tmp_path / "mine/.hydra/config.yaml").read_bytes()
    evaluated = command(f"ckpt_path={again.folder}/checkpoints/last.ckpt", script="eval.py")
    second = command("--config-path", f"{evaluated.folder}/.hydra", "--config-name", "config", script="eval.py")
    assert second.folder.parent == tmp_path / "logs" / "eval" / "runs"
    assert list((tmp_path / "here").iterdir()) == []


def test_editing_a_default_changes_the_run(command: Command, tmp_path: Path) -> None:
    shutil.copytree(CONF, tmp_path / "conf")
    default = tmp_path / "conf" / "trainer" / "default.yaml"
    default.write_text(default.read_text().replace("max_epochs: 20000", "max_epochs: 4"))
    assert command("--config-path", f"{tmp_path}/conf", *NO_FIGURES).metrics["epochs"] == 4


def test_the_experiment_of_the_lab_is_the_default_run(command: Command) -> None:
    run, lab = (command("trainer.max_epochs=3", *NO_FIGURES, *more) for more in ([], ["experiment=lab"]))
    ours, theirs = ((one.folder / ".hydra" / "config.yaml").read_text() for one in (run, lab))
    assert ours == theirs


@pytest.mark.further
@pytest.mark.parametrize("override", ["~callbacks", "callbacks=[]"])
def test_a_run_or_a_sweep_without_callbacks_leaves_its_results(command: Command, override: str) -> None:
    run = command("-m", "seed=1,2", override, "trainer.max_epochs=3")
    assert run.status == 0, run.err
    assert len(list(run.folder.glob("*/metrics.json"))) == 2
    assert not list(run.folder.glob("*/*.png"))


def test_a_callback_is_switched_off_by_one_override(command: Command) -> None:
    names = re.findall(r"^(\w+):$", (CONF / "callbacks" / "default.yaml").read_text(), re.M)
    assert "animation" in names
    run = command("trainer.max_epochs=3", *(f"callbacks.{n}=null" for n in names))
    assert run.status == 0, run.err
    assert run.out == ""
    files = {path.name for path in run.folder.iterdir() if "tfevents" not in path.name}
    assert files == {".hydra", "train.log", "metrics.json", "networks.csv", "xornet.pt", "hparams.yaml"}


@pytest.mark.further
def test_the_directory_of_a_run_may_be_named_after_what_hydra_knows(command: Command, tmp_path: Path) -> None:
    name = "${hydra:job.name}_${hydra:runtime.choices.optimizer}"
    run = command(f"hydra.run.dir={tmp_path}/{name}", "trainer.max_epochs=3", *NO_FIGURES)
    assert run.status == 0, run.err
    assert (tmp_path / "train_sgd" / "metrics.json").exists()


@pytest.mark.further
def test_a_file_of_ones_own_instead_of_train_yaml_makes_a_run(command: Command, tmp_path: Path) -> None:
    text = (SRC.parent / "conf" / "train.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "subdir: ${job_name:" not in line]
    assert len(lines) == len(text.splitlines()) - 1
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text("\n".join(lines) + "\nunread: hello\n", encoding="utf-8")
    given = (f"--config-dir={tmp_path}/conf", "--config-name=mine", "trainer.max_epochs=3", *NO_FIGURES)
    assert command(*given).last_line.startswith("error: unread is no key of the configuration; use one of")
    (tmp_path / "conf" / "mine.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert command(*given).status == 0
    refused = command("-m", *given, "seed=1,2").last_line
    assert "drop it, or use that of conf/train.yaml in a file of your own" in refused
