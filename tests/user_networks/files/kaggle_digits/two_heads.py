import torch
import torch.nn as nn
import torch.nn.functional as F


class DigitAndParity(nn.Module):
    """Says the digit, and whether it is even."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, stride=2)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2)
        self.digit = nn.Linear(288, 10)
        self.even = nn.Linear(288, 2)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x)))).flatten(1)
        return F.log_softmax(self.digit(x), dim=1), F.log_softmax(self.even(x), dim=1)


class DigitSum(nn.Module):
    """A picture and a number: says the digit, and the sum of both."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, stride=2)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2)
        self.digit = nn.Linear(288, 10)
        self.fc1 = nn.Linear(20, 24)
        self.fc2 = nn.Linear(24, 19)

    def forward(self, image, number):
        x = F.relu(self.conv2(F.relu(self.conv1(image))))
        digit = self.digit(x.reshape(x.size(0), -1))
        both = torch.cat((digit, number), dim=1)
        return F.log_softmax(digit, dim=1), F.log_softmax(self.fc2(F.relu(self.fc1(both))), dim=1)
