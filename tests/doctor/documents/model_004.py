"""Rebuilt from the facts of documents 004 and 002: a loss of 0.0000, and the best test epoch as the result."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torchvision import datasets, transforms

torch.manual_seed(1)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 28)
        self.adder = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 19))

    def forward(self, image, number):
        digit = self.conv(image).flatten(1)
        total = self.adder(torch.cat([digit, number], dim=-1))
        return F.log_softmax(digit, dim=1), total


def total_loss(digit, label, total, sum_label):
    criterion = nn.CrossEntropyLoss()
    return F.nll_loss(digit, label), criterion(total, sum_label)


test_loader = torch.utils.data.DataLoader(
    datasets.MNIST("data", train=False, transform=transforms.ToTensor()), batch_size=128)
model = TwoHeads()
best = 0.0


def test(model, loader):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for image, label, number, sum_label in loader:
            digit, total = model(image, number)
            loss1, loss2 = total_loss(digit, label, total, sum_label)
            test_loss += loss1.item()
            correct += digit.argmax(dim=1).eq(label).sum().item()
    test_loss /= len(loader.dataset)  # expect FW504
    return correct / len(loader.dataset)


for epoch in range(25):
    accuracy = test(model, test_loader)
    if accuracy > best:  # expect FW501
        best = accuracy
