import torch.nn as nn
from efficientnet_pytorch import EfficientNet


class TransferNet(nn.Module):
    def __init__(self):
        super(TransferNet, self).__init__()
        self.base = EfficientNet.from_pretrained("efficientnet-b0")
        self.fc = nn.Linear(1280, 10)

    def forward(self, x):
        return self.fc(self.base(x))
