import torch.nn as nn
import torch.nn.functional as F
from torchvision import models as tv_models

DROPOUT = 0.1


class Model_1(nn.Module):
    """
    Target: set the skeleton
    Result: params below 2k
    Analysis: ReLU, BN and dropout after the last layer
    """
    def __init__(self):
        super(Model_1, self).__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.BatchNorm2d(4), nn.Dropout(DROPOUT))
        self.conv2 = nn.Sequential(nn.Conv2d(4, 8, 3, bias=False), nn.ReLU(), nn.BatchNorm2d(8), nn.Dropout(DROPOUT))
        self.conv3 = nn.Sequential(nn.Conv2d(8, 10, 1, bias=False), nn.ReLU(), nn.BatchNorm2d(10), nn.Dropout(DROPOUT))
        self.pool1 = nn.MaxPool2d(2, 2)
        self.conv4 = nn.Sequential(nn.Conv2d(10, 10, 3, bias=False), nn.ReLU(), nn.BatchNorm2d(10), nn.Dropout(DROPOUT))
        self.gap = nn.AvgPool2d(10)
        self.conv5 = nn.Sequential(nn.Conv2d(10, 10, 1, bias=False), nn.BatchNorm2d(10), nn.ReLU(), nn.Dropout(DROPOUT))

    def forward(self, x):
        x = self.pool1(self.conv3(self.conv2(self.conv1(x))))
        x = self.conv5(self.gap(self.conv4(x)))
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=1)


class Model_2(nn.Module):
    """
    Target: batch norm everywhere (biases forgotten)
    """
    def __init__(self):
        super(Model_2, self).__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 8, 3)
        self.bn2 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv3 = nn.Conv2d(8, 8, 3)
        self.bn3 = nn.BatchNorm2d(8)
        self.conv4 = nn.Conv2d(8, 10, 10)

    def forward(self, x):
        x = self.pool(self.bn2(F.relu(self.conv2(self.bn1(F.relu(self.conv1(x)))))))
        x = self.conv4(self.bn3(F.relu(self.conv3(x))))
        return F.log_softmax(x.view(-1, 10), 1)


class Model_3(nn.Module):
    """
    Target: fewer parameters. conv4 and its norm stay here for later
    """
    def __init__(self):
        super(Model_3, self).__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(6)
        self.conv3 = nn.Conv2d(6, 12, 3, bias=False)
        self.conv4 = nn.Conv2d(12, 12, 3, bias=False)
        self.bn4 = nn.BatchNorm2d(12)
        self.fc = nn.Linear(12, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.conv3(x))
        x = F.avg_pool2d(x, x.size(2))
        x = x.view(x.size(0), -1)
        return F.log_softmax(self.fc(x), dim=1)
