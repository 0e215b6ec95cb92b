import torch.nn as nn


class RecurrentConv(nn.Module):
    def __init__(self, steps=2):
        super().__init__()
        self.steps = steps
        self.first = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.again = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Linear(8 * 7 * 7, 10)

    def forward(self, x):
        x = self.relu(self.first(x))
        for _ in range(self.steps):
            x = self.pool(self.relu(self.again(x)))
        x = x.contiguous().view(x.size()[0], -1)
        return self.last(x)
