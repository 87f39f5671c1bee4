"""The cost of an epoch, by one way to compute it: python tests/bench/epoch.py WAY NETWORKS [THREADS].

Prints the seconds of an epoch (the median of ROUNDS timings) and the seconds before the first one. Each way has a
process of its own: the number of threads and the compilers' states are a process's.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

ROUNDS, SECONDS = 3, 0.3  # timings, and how long each takes at least
LR, EPOCHS = 0.1, 20000
POINTS, TARGETS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0.0], [1.0], [1.0], [0.0]]


def ours(networks: int, compiles: bool) -> Callable[[int], object]:
    """The epochs of XORModule, with everything that is noted of each, but without Lightning."""
    import torch
    from torch.optim import SGD

    from xornet.engine.history import History
    from xornet.engine.runner import EpochRunner
    from xornet.engine.stopwatch import Stopwatch
    from xornet.engine.threads import set_threads
    from xornet.network import Ensemble

    set_threads(networks)
    ensemble, history = Ensemble(networks=networks), History(networks, 0.5)
    history.set_length(EPOCHS)
    x, y = torch.tensor(POINTS), torch.tensor(TARGETS)
    optimizer = SGD(ensemble.parameters(), lr=LR, foreach=False)
    runner = EpochRunner(ensemble, x, y, optimizer, history, "backprop", compiles, Stopwatch())
    start = 0

    def run(epochs: int) -> None:
        nonlocal start
        end = start + epochs
        with torch.inference_mode():
            while start < end:
                for error in runner.epochs(start, end - start, lambda: False):
                    runner.forward(error)
                    runner.backward(error)
                    runner.update()
                start += runner.block.length

    run(2)
    return run


def vmap(networks: int) -> Callable[[int], object]:
    """PyTorch's own recipe for ensembles: stack_module_state, functional_call, vmap(grad)."""
    import torch
    from torch.func import functional_call, grad, stack_module_state
    from torch.func import vmap as vectorize

    from xornet.engine.threads import set_threads
    from xornet.network import XORNet

    set_threads(networks)
    x, y = torch.tensor(POINTS), torch.tensor(TARGETS)
    parameters, buffers = stack_module_state([XORNet() for _ in range(networks)])
    optimizer = torch.optim.SGD(parameters.values(), lr=LR)
    with torch.device("meta"):
        network = XORNet()

    def loss(parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.mse_loss(functional_call(network, (parameters, buffers), (x,)), y)

    gradient = vectorize(grad(loss))

    def run(epochs: int) -> None:
        for _ in range(epochs):
            for name, value in gradient(parameters, buffers).items():
                parameters[name].grad = value
            optimizer.step()

    return run


def jax(networks: int) -> Callable[[int], object]:
    """JAX: vmap of the gradient, lax.scan over the epochs, compiled as a whole; nothing noted of an epoch."""
    import jax
    import jax.numpy as jnp

    x, y = jnp.array(POINTS), jnp.array(TARGETS)

    def draw(key: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        hidden, output = jax.random.split(key)
        return [(jax.random.uniform(k, (i, o)) - 0.5, jnp.zeros(o)) for k, i, o in ((hidden, 2, 4), (output, 4, 1))]

    def loss(parameters: list[tuple[jax.Array, jax.Array]]) -> jax.Array:
        a = x
        for weight, bias in parameters:
            a = jax.nn.sigmoid(a @ weight + bias)
        return jnp.mean((a - y) ** 2)

    def update(parameters: jax.Array, _: None) -> tuple[jax.Array, None]:
        gradient = jax.vmap(jax.grad(loss))(parameters)
        return jax.tree.map(lambda weight, slope: weight - LR * slope, parameters, gradient), None

    @partial(jax.jit, static_argnums=1)
    def scan(parameters: jax.Array, epochs: int) -> jax.Array:
        return jax.lax.scan(update, parameters, None, length=epochs)[0]

    parameters = jax.vmap(draw)(jax.random.split(jax.random.key(0), networks))

    def run(epochs: int) -> None:
        nonlocal parameters
        parameters = jax.block_until_ready(scan(parameters, epochs))

    return run


def floor(networks: int) -> Callable[[int], object]:
    """The loop of floor.c, compiled for this processor, on one core: what the arithmetic alone takes."""
    import numpy as np

    source, built = Path(__file__).with_name("floor.c"), Path(tempfile.mkdtemp()) / "floor.so"
    flags = ["-O3", "-march=native", "-ffast-math", "-fopenmp-simd", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, "-o", built, source], check=True)
    train = ctypes.CDLL(str(built)).train
    train.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long, ctypes.c_float]
    tiles = -(-networks // 16)
    weights = np.random.default_rng(0).uniform(-0.5, 0.5, (tiles, 17, 16)).astype(np.float32)
    return lambda epochs: train(weights.ctypes.data, tiles, epochs, LR)


WAYS: dict[str, Callable[[int], Callable[[int], object]]] = {
    "eager": partial(ours, compiles=False),
    "compiled": partial(ours, compiles=True),
    "floor": floor,
    "vmap": vmap,
    "jax": jax,
}


def main() -> None:
    """Time one way."""
    way, networks = sys.argv[1], int(sys.argv[2])
    if len(sys.argv) > 3:  # before anything starts its threads
        os.environ["OMP_NUM_THREADS"] = sys.argv[3]
    start = time.perf_counter()
    run = WAYS[way](networks)
    run(1)
    setup = time.perf_counter() - start
    epochs = 10
    while True:  # how many epochs take SECONDS
        run(epochs)  # a compiler may compile for this number
        start = time.perf_counter()
        run(epochs)
        if (elapsed := time.perf_counter() - start) > SECONDS:
            break
        epochs *= max(2, int(1.2 * SECONDS / elapsed))
    timings = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run(epochs)
        timings.append((time.perf_counter() - start) / epochs)
    print(median(timings), setup)


if __name__ == "__main__":
    main()
