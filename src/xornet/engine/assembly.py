"""The epoch runner of a run, made from the configuration of the module and the requests of the callbacks."""

from functools import partial
from typing import Any

import torch

from xornet.engine.blocks import has_step_hooks, run_length, samples_every
from xornet.engine.compile_choice import is_compiled, obstacle
from xornet.engine.runner import EpochRunner
from xornet.engine.step_hooks import call_step_hooks


def make_runner(module: Any, is_new: bool) -> EpochRunner:
    """Make the epoch runner of an XORModule: compiled, in place or by autograd, with Lightning's hooks at each step.

    Args:
        module: the XORModule.
        is_new: whether its optimizer has not made a step yet.

    """
    trainer, hparams = module.trainer, module.hparams
    gradient, is_watched = hparams["gradient"], has_step_hooks(trainer, module)
    compiles = is_compiled(hparams["compile"], gradient, len(module.ensemble), run_length(trainer))
    optimizer = module.optimizers(use_pl_optimizer=False)
    compiles &= not (is_watched or obstacle(type(optimizer), module.scheduler))
    with torch.inference_mode(gradient == "backprop"):
        args = (module.ensemble, module.x, module.y, optimizer, module.history, gradient, compiles, module.stopwatch)
        runner = EpochRunner(*args, is_new, samples_every(trainer))
    if is_watched:
        runner.surround = partial(call_step_hooks, trainer=trainer, module=module, optimizer=optimizer)
    return runner
