"""Rebuilt from the facts of document 003: receptive fields, and a prediction that prepares otherwise."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from torchvision import datasets, transforms

train_data = datasets.MNIST("data", train=True, transform=transforms.Compose([
    transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(1, 16, (3, 3), bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            # input = 28x28x1 | output = 26x26x16 | RF = 3x3
            nn.Conv2d(16, 16, (3, 3), bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            # input = 26x26x16 | output = 24x24x16 | RF = 5x5
            nn.Conv2d(16, 16, (3, 3), bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            # input = 24x24x16 | output = 22x22x16 | RF = 7x7
            nn.MaxPool2d(2, 2),
            # input = 22x22x16 | output = 11x11x16 | RF = 14x14, expect FW121
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(16, 16, (3, 3), bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Dropout(0.05),
            # input = 11x11x16 | output = 9x9x16 | RF = 16x16
        )
        self.gap = nn.AvgPool2d(kernel_size=9)
        self.fc = nn.Linear(16, 10, bias=False)

    def forward(self, x):
        x = self.gap(self.conv2(self.conv1(x)))
        return F.log_softmax(self.fc(x.flatten(1)), dim=-1)


model = Net()


def predict(path):
    image = Image.open(path).convert("L").resize((28, 28))
    image = torch.from_numpy(np.array(image)).view(1, 1, 28, 28)
    image = image.type(torch.FloatTensor)
    image = image / 255.0  # expect FW403
    output = model(image)  # expect FW308 FW404
    _, predicted = torch.max(output.data, 1)
    return predicted.item()


print(predict("test.png"))
