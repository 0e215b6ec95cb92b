import torch.nn as nn

from models.blocks import Transition
from utils.helper import get_device, class_accuracy


class CustomNet(nn.Module):
    def conv_block(self, cin, cout, **kwargs):
        return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False, **kwargs), nn.BatchNorm2d(cout), nn.ReLU())

    def res_block(self, c):
        return nn.Sequential(self.conv_block(c, c), nn.Sequential(self.conv_block(c, c), nn.Dropout(0.05)))

    def __init__(self):
        super(CustomNet, self).__init__()
        self.prep = self.conv_block(3, 6)
        self.layer1 = nn.Sequential(self.conv_block(6, 8), nn.MaxPool2d(2))
        self.res1 = self.res_block(8)
        self.layer2 = nn.Sequential(self.conv_block(8, 12), Transition(12, 12))
        self.pool = nn.MaxPool2d(4)
        self.fc = nn.Linear(48, 10)

    def forward(self, x):
        x = self.layer1(self.prep(x))
        x = x + self.res1(x)
        x = self.pool(self.layer2(x))
        x = x.view(x.shape[0], -1)
        return self.fc(x)
