import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2), nn.BatchNorm2d(8), nn.LeakyReLU(0.1),
            nn.Conv2d(8, 8, 3, stride=2, groups=2), nn.BatchNorm2d(8), nn.GELU(),
            nn.Conv2d(8, 10, 5), nn.BatchNorm2d(10),
        )
        self.softmax = nn.Softmax(dim=1)

    def forward(self, input):
        out = self.layers(input)
        return self.softmax(out.view(out.size(0), 10))
