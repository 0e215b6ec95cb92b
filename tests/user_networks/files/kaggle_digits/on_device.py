import torch
import torch.nn as nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1).to(device)
        self.scale = torch.ones(6, device=device)
        self.pool = nn.AvgPool2d(4)
        self.fc = nn.Linear(6 * 7 * 7, 10).to(device)

    def forward(self, x):
        x = x.to(device)
        x = self.pool(torch.relu(self.conv(x) * self.scale.to(device).view(1, 6, 1, 1)))
        noise = torch.zeros(x.size(0), 1, device=device)
        return self.fc(torch.flatten(x, 1) + noise)
