import torch.nn as nn

from ..layers import GlobalPool, conv_bn


class Net9(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.trunk = nn.Sequential(conv_bn(3, 8), conv_bn(8, 8, s=2), conv_bn(8, 12), conv_bn(12, 12, s=2))
        self.pool = GlobalPool()
        self.fc = nn.Linear(12, num_classes)

    def forward(self, x):
        return self.fc(self.pool(self.trunk(x)))
