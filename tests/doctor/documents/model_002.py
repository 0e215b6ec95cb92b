"""Rebuilt from the facts of document 002: dropout on the logits, a schedule that never ran, epoch as the loss."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torchvision import datasets, transforms

torch.manual_seed(1)
rate = 0.1


class Model1(nn.Module):
    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(
            nn.Conv2d(1, 8, (3, 3), bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(8),
            nn.Dropout(rate),
        )
        self.gap = nn.Sequential(nn.AvgPool2d(26))
        self.block7 = nn.Sequential(
            nn.Conv2d(8, 10, (1, 1), bias=False),
            nn.BatchNorm2d(10),  # expect FW103
            nn.ReLU(),  # expect FW101
            nn.Dropout(rate),  # expect FW102
        )

    def forward(self, x):
        x = self.block7(self.gap(self.block1(x)))
        return F.log_softmax(x.flatten(1), dim=-1)


def train(model, loader, optimizer, criterion):
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()


train_data = datasets.MNIST("data", train=True, transform=transforms.ToTensor())
train_loader = torch.utils.data.DataLoader(train_data, batch_size=128, shuffle=True)
model = Model1()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=10)  # expect FW304
for epoch in range(15):
    train(model, train_loader, optimizer, epoch)  # expect FW208
