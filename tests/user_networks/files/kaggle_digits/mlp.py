import numpy as np
import pandas as pd
import torch
from torch import nn

train = pd.read_csv("../input/digit-recognizer/train.csv")
X = train.drop("label", axis=1).values.astype(np.float32) / 255
y = train["label"].values


class MLP(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.fc1 = nn.Linear(784, hidden)
        self.fc2 = nn.Linear(hidden, 10)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = x.view(-1, 28 * 28)
        x = self.drop(torch.relu(self.fc1(x)))
        return self.fc2(x)


model = MLP()
criterion = nn.CrossEntropyLoss()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), 64)
for xb, yb in loader:
    criterion(model(xb), yb).backward()
