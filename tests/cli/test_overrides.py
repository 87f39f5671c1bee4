import subprocess

import pytest
from conftest import SRC
from hydra import compose, initialize_config_dir

from xornet.cli.overrides import blamed, override

PATHS = [
    "/runs/a/last.ckpt", "/runs/0_optimizer.lr=0.1/last.ckpt", "/my runs/last.ckpt", "it's", 'a "b"', "a,b", "[1]",
    "{a}",
    "$HOME", "${seed}", "a${seed}b", r"\${seed}", "C:\\runs\\a", "a\\", "a\\\\", "\\'", "#x", "a #b", "~/x", "größe",
    "訓練", "a\nb", "`ls`", "!x", "(a)", "a;b&c|d", "*?", "null", "1", "true", " a ", "a\tb", "-x", "%s", "a:b", "@",
    "+x",
]  # fmt: skip


def test_an_override_means_the_same_to_a_shell_and_to_hydra() -> None:
    line = " ".join(override("ckpt_path", path) for path in PATHS)
    done = subprocess.run(["sh", "-c", rf"printf '%s\0' {line}"], capture_output=True, check=True)
    given = done.stdout.decode().split("\0")[:-1]
    assert len(given) == len(PATHS)
    with initialize_config_dir(str(SRC.parent / "conf"), version_base="1.3"):
        for argument, path in zip(given, PATHS, strict=True):
            assert str(compose("eval", [argument]).ckpt_path) == path, argument


def test_an_override_is_as_plain_as_it_can_be() -> None:
    assert override("ckpt_path", "/a/last.ckpt") == "ckpt_path=/a/last.ckpt"
    assert override("ckpt_path", "/a=1/last.ckpt") == "\"ckpt_path='/a=1/last.ckpt'\""


@pytest.mark.parametrize(
    ("cause", "wrong"),
    [
        ("dictionary update sequence element #0 has length 1", "logger.mlflow.tags=abc logger.mlflow.run_id=nope"),
        ("Run with id=nope was not found", "logger.mlflow.run_id=nope"),
        ("got an unexpected keyword argument 'tags'", "logger.mlflow.tags=abc"),
    ],
)
def test_a_tracker_that_cannot_begin_a_run_blames_its_arguments(cause: str, wrong: str) -> None:
    given = ["logger=mlflow", "seed=1", "logger.mlflow.tags=abc", "+logger.mlflow.run_id=nope"]
    message = f"logger.mlflow cannot begin a run: {cause}; see that its arguments are right, or use logger.mlflow=null"
    assert blamed(given, message, remedy="", place="") == wrong


def test_a_key_of_another_part_of_the_configuration_is_not_blamed() -> None:
    message = "XORModule.__init__() got an unexpected keyword argument 'hidden_units'"
    assert blamed(["experiment=wide", "callbacks.hidden_units=null"], message, "", "model") == "experiment=wide"
