"""The whole lab sheet as a script: train, train again recording the losses, two figures.

It repeats itself because the sheet does: this is what a run is measured against.
"""

import sys
import time
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn, optim

sys.path.insert(0, str(Path(__file__).parents[1]))
from oracle import SheetNet, X, Y

EPOCHS = 20000

torch.manual_seed(452582093)
model = SheetNet()
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=0.1)
start = time.perf_counter()
for epoch in range(EPOCHS):
    outputs = model(X)
    loss = criterion(outputs, Y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 1000 == 0:
        print(f"Epoch {epoch}, Loss: {loss.item():.4f}")
seconds = time.perf_counter() - start
print("Final predictions:")
print(model(X).detach())

losses = []
for _ in range(EPOCHS):
    outputs = model(X)
    loss = criterion(outputs, Y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

folder = Path(sys.argv[1])
plt.plot(losses)
plt.xlabel("Epochs")
plt.ylabel("Loss")
plt.title("Training Loss Curve")
plt.savefig(folder / "loss_curve.png")
plt.close()

xx, yy = np.meshgrid(np.linspace(-0.5, 1.5, 200), np.linspace(-0.5, 1.5, 200))
grid = torch.tensor(np.c_[xx.ravel(), yy.ravel()], dtype=torch.float32)
with torch.no_grad():
    Z = model(grid).numpy().reshape(xx.shape)
plt.contourf(xx, yy, Z, levels=50, cmap="coolwarm", alpha=0.7)
plt.scatter(X[:, 0], X[:, 1], c=Y[:, 0], edgecolor="k", s=100, cmap="coolwarm")
plt.title("Decision Boundary of Neural Network")
plt.savefig(folder / "decision_boundary.png")
(folder / "seconds").write_text(str(seconds))
