"""A GPU without a GPU: on PyTorch's `meta` device a block fails where it computes on the CPU or waits for the host."""

from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from conftest import fit
from test_schedulers import ARGUMENTS, scheduler
from torch.fx import GraphModule
from torch.optim import Optimizer

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.data import truth_table
from xornet.engine.compiled import CompiledEpochs
from xornet.engine.history import History
from xornet.engine.optimizers import NOT_ELEMENTWISE
from xornet.engine.runner import GRADIENTS, EpochRunner
from xornet.engine.stopwatch import Stopwatch
from xornet.module import XORModule
from xornet.network import Ensemble
from xornet.runs.compare import load

OPTIMIZERS = [
    kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, Optimizer) and kind is not Optimizer and name not in NOT_ELEMENTWISE
]


def run_block(
    optimizer: "partial[Any]",
    gradient: str = "backprop",
    follower: "Callable[[Optimizer], Any] | None" = None,
    networks: int = 3,
    compiles: bool = False,
) -> EpochRunner:
    """Run a block of five epochs on the meta device; return what has run it."""
    ensemble = Ensemble(networks=networks).to("meta")
    x, y = (part.to("meta") for part in truth_table())
    made = optimizer(ensemble.parameters())
    history = History(networks, tolerance=0.5)
    with torch.inference_mode(gradient == "backprop"):
        runner = EpochRunner(ensemble, x, y, made, history, gradient, compiles, Stopwatch(), samples_every=2)
        runner.schedules = [(follower(made), 1)] if follower else []
        for start in (0, 1) if compiles else (0,):  # the first epoch is never compiled
            for buffer in runner.epochs(start, 5, lambda: False):
                assert buffer.is_meta
                runner.forward(buffer)
                runner.backward(buffer)
                runner.update()
    return runner


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("networks", [1, 3])
def test_a_block_stays_on_its_device_and_waits_for_nothing(gradient: str, networks: int) -> None:
    runner = run_block(partial(torch.optim.SGD, lr=0.1), gradient, networks=networks)
    block = runner.block
    assert block.length == 5
    tensors = [block.errors, block.last_errors, *chain(*block.snapshots.samples.values(), *block.snapshots.weights)]
    milestones = [runner.history.solved_epoch, runner.history.diverged_epoch]
    assert all(tensor.is_meta for tensor in (*tensors, *milestones))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_optimizer_keeps_its_state_on_the_device(kind: Any) -> None:
    if kind is torch.optim.ASGD:  # PyTorch's own reads its rate from the device at every step
        with pytest.raises(RuntimeError, match=r"Tensor\.item\(\) cannot be called on meta tensors"):
            run_block(partial(kind, lr=0.1))
        return
    runner = run_block(partial(kind, lr=0.1))
    state = [value for values in runner.optimizer.state.values() for value in values.values()]
    assert all(value.is_meta for value in state if isinstance(value, torch.Tensor) and value.dim())


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_scheduler_steps_without_waiting(name: str) -> None:
    if name == "ReduceLROnPlateau":  # which decides by the loss, on the host
        with pytest.raises(RuntimeError, match=r"Tensor\.item\(\) cannot be called on meta tensors"):
            run_block(partial(torch.optim.SGD, lr=0.1), follower=scheduler(name))
        return
    runner = run_block(partial(torch.optim.SGD, lr=0.1, momentum=0.9), follower=scheduler(name))
    assert runner.schedules[0][0].last_epoch == 5


def test_a_compiled_epoch_stays_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(self: CompiledEpochs, program: GraphModule, inputs: Any) -> Callable[..., Any]:
        """Stand in for the compiler, which knows no such device: PyTorch's operations, as it was given them."""

        def first(*tensors: Any) -> Any:
            self.is_compiling = False
            self.replay = lambda: program(*tensors)
            return program(*tensors)

        return first

    monkeypatch.setattr(CompiledEpochs, "backend", backend)
    # Which compares numbers, once, where it compiles.
    monkeypatch.setattr("xornet.engine.compiled.run_checked", lambda compiled, *others: compiled())
    cosine = partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=9)
    runner = run_block(partial(torch.optim.Adam, lr=0.1), follower=cosine, compiles=True)
    assert runner.compiled is not None
    assert runner.block.length == 5
    assert all(
        tensor.is_meta for tensor in (runner.block.errors, runner.block.last_errors, runner.history.solved_epoch)
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU would load it on itself")
def test_a_checkpoint_written_on_a_gpu_is_loaded_on_a_cpu(tmp_path: Path) -> None:
    last = LastCheckpoint(str(tmp_path / "cpu"))
    _, module = fit(tmp_path, 20, [last], networks=2)
    written = tmp_path / "gpu.ckpt"
    with ZipFile(last.path) as source, ZipFile(written, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):  # each tensor's device, as pickle writes a short string
                data = data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            target.writestr(name, data)
    with pytest.raises(RuntimeError, match="on a CUDA device"):
        torch.load(written, weights_only=True)
    for loaded in (
        XORModule.load_from_checkpoint(written),
        XORModule.load_from_checkpoint(written, map_location="cpu"),
        load(str(written))[0],
        fit(tmp_path, 20, ckpt_path=written, networks=2)[1],
    ):
        assert torch.equal(loaded.predictions(), module.predictions())
