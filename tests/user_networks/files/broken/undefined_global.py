import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.fc = nn.Linear(6, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.dropout(x, dropout_rate, self.training)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
