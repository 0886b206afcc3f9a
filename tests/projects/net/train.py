"""A small network with torch on the CPU; workers of a DataLoader read the data."""

import numpy as np
import torch
from layers import make
from torch.utils.data import DataLoader, Dataset

from anew import Experiment, Run

experiment = Experiment("net")


class Rows(Dataset):
    """Rows of a file that each worker opens by itself, with noise."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 64

    def __getitem__(self, index):
        row = np.load(self.path)[index]
        return torch.from_numpy(row[:8]) + 0.01 * torch.randn(8), torch.from_numpy(row[8:])


@experiment.main
def main(width: int = 16, lr: float = 0.05, epochs: int = 2, workers: int = 2, *, run: Run):
    model = make(width)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    loader = DataLoader(Rows("rows.npy"), batch_size=16, shuffle=True, num_workers=workers)
    step = 0
    for _ in range(epochs):
        for x, y in loader:
            loss = torch.nn.functional.mse_loss(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            run.log({"loss": loss}, step=step)
            step += 1
    torch.save(model.state_dict(), run.dir / "model.pt")
    run.log_artifact("model.pt")
    return loss.item()


if __name__ == "__main__":
    main()
