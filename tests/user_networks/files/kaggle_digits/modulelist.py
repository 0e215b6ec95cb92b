import torch
import torch.nn as nn

print("torch", torch.__version__)


class StackNet(nn.Module):
    def __init__(self, widths=(4, 6, 8), verbose=True):
        super(StackNet, self).__init__()
        self.verbose = verbose
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleDict()
        c = 1
        for i, w in enumerate(widths):
            self.convs.append(nn.Conv2d(c, w, 3, bias=False))
            self.norms[str(i)] = nn.BatchNorm2d(w)
            c = w
        self.head = nn.Linear(c, 10)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            x = torch.relu(self.norms[str(i)](conv(x)))
            if i < 2:
                x = nn.functional.max_pool2d(x, 2)
        if self.verbose:
            print("before the head:", x.shape)
        return self.head(x.mean(dim=[2, 3]))


net = StackNet()
print(net)
