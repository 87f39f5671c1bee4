"""The lab sheet, written plainly in PyTorch: what everything here is measured against."""

import torch
from torch import nn, optim

X = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float32)
Y = torch.tensor([[0], [1], [1], [0]], dtype=torch.float32)


class SheetNet(nn.Module):
    """The sheet's XORNet, to the letter."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, 4)
        self.output = nn.Linear(4, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map x (P, 2) to predictions (P, 1)."""
        x = self.sigmoid(self.hidden(x))
        return self.sigmoid(self.output(x))


def train_sheet(
    epochs: int, seed: int, lr: float = 0.1, momentum: float = 0.0
) -> tuple[SheetNet, list[float], torch.Tensor]:
    """Run the sheet's loop; return the network, and each epoch's loss and predictions (E, 4, 1) before its update."""
    torch.manual_seed(seed)
    model = SheetNet()
    criterion = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    losses, predictions = [], []
    for _ in range(epochs):
        outputs = model(X)
        loss = criterion(outputs, Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        predictions.append(outputs.detach())
    return model, losses, torch.stack(predictions)
