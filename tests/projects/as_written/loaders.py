import argparse

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter


class Line(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        noise = torch.randn(1) * 0.01
        return torch.tensor([index / 8.0]), torch.tensor([index / 4.0]) + noise


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=0.1)
    args = parser.parse_args()
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.rate)
    writer = SummaryWriter("logs")
    for epoch in range(2):
        total = 0.0
        for x, y in DataLoader(Line(), batch_size=4, shuffle=True, num_workers=2):
            loss = (model(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        writer.add_scalar("loss", total, epoch)
        print(f"rate {args.rate} epoch {epoch} loss {total:.8f}")
    writer.close()


if __name__ == "__main__":
    main()
