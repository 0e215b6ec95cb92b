import torch
import torch.nn as nn
from torchvision import datasets, transforms

trainset = datasets.MNIST('./data', download=True, transform=transforms.ToTensor())
num_classes = len(trainset.classes)
print(num_classes, "classes")


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv = nn.Conv2d(1, num_classes, 28)

    def forward(self, x):
        return self.conv(x).flatten(1)
