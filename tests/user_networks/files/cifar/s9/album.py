import cv2
import torch
import torchvision
import torch.nn as nn
import torch.nn.functional as F
import albumentations as A
from albumentations.pytorch import ToTensorV2

cv2.setNumThreads(0)
cv2.ocl.setUseOpenCL(False)


class Cifar10SearchDataset(torchvision.datasets.CIFAR10):
    def __init__(self, root="~/data/cifar10", train=True, download=True, transform=None):
        super().__init__(root=root, train=train, download=download, transform=transform)

    def __getitem__(self, index):
        image, label = self.data[index], self.targets[index]
        if self.transform is not None:
            image = self.transform(image=image)["image"]
        return image, label


train_set = Cifar10SearchDataset(transform=A.Compose([A.Normalize(), ToTensorV2()]))


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        # C1
        self.c1 = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        )
        # C2, depthwise separable
        self.c2 = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 12, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        )
        # C3, dilated
        self.c3 = nn.Sequential(
            nn.Conv2d(12, 12, 3, padding=2, dilation=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        )
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.out = nn.Conv2d(12, 10, 1, bias=False)

    def forward(self, x):
        x = self.c3(self.c2(self.c1(x)))
        x = self.out(self.gap(x))
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=-1)
