"""Rebuilt from the facts of document 001: ReLU on the logits, no dimension, receptive fields that do not add up."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torchvision import datasets, transforms

torch.manual_seed(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)     # input-28x28  output-28x28  RF-3x3
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)    # input-28x28  output-28x28  RF-5x5
        self.pool1 = nn.MaxPool2d(2, 2)                 # input-28x28  output-14x14  RF-10x10, expect FW121
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)   # input-14x14  output-14x14  RF-12x12
        self.conv4 = nn.Conv2d(128, 256, 3, padding=1)  # input-14x14  output-14x14  RF-14x14
        self.pool2 = nn.MaxPool2d(2, 2)                 # input-14x14  output-7x7    RF-28x28
        self.conv5 = nn.Conv2d(256, 512, 3)             # input-7x7    output-5x5    RF-30x30
        self.conv6 = nn.Conv2d(512, 1024, 3)            # input-5x5    output-3x3    RF-32x32
        self.conv7 = nn.Conv2d(1024, 10, 3)             # input-3x3    output-1x1    RF-34x34

    def forward(self, x):
        x = self.pool1(F.relu(self.conv2(F.relu(self.conv1(x)))))
        x = self.pool2(F.relu(self.conv4(F.relu(self.conv3(x)))))
        x = F.relu(self.conv6(F.relu(self.conv5(x))))
        x = F.relu(self.conv7(x))  # expect FW101
        x = x.flatten(1)
        return F.log_softmax(x)  # expect FW104


loader = torch.utils.data.DataLoader(
    datasets.MNIST("data", train=True, transform=transforms.ToTensor()), batch_size=128, shuffle=True)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for epoch in range(1, 2):
    for images, labels in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(model(images), labels)
        loss.backward()
        optimizer.step()
