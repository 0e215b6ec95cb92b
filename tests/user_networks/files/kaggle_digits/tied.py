import torch.nn as nn
import torch.nn.functional as F


class TiedNet(nn.Module):
	def __init__(self):
		super().__init__()
		self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
		self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
		self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
		self.conv3.weight = self.conv2.weight
		self.bn = nn.BatchNorm2d(8)
		self.fc = nn.Linear(72, 10)

	def forward(self, x):
		x = F.max_pool2d(F.relu(self.conv1(x)), 3)
		x = F.max_pool2d(F.relu(self.bn(self.conv2(x))), 3)
		x = F.relu(self.conv3(x))
		return self.fc(x.view(x.size(0), -1))
