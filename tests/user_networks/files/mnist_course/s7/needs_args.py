import argparse
import torch.nn as nn

parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=6)
parser.add_argument("--dropout", type=float, default=0.1)
args = parser.parse_args()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, args.width, 5, stride=2, bias=False),
            nn.BatchNorm2d(args.width),
            nn.ReLU(),
            nn.Dropout2d(args.dropout),
            nn.Conv2d(args.width, 10, 3, stride=2),
        )

    def forward(self, x):
        return self.body(x).mean((2, 3))
