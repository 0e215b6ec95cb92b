"""Rebuilt from the facts of document 000: two wrong transforms, a flag, a count and a forward that fell out."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torchvision import datasets, transforms

torch.manual_seed(1)
train_tf = transforms.Compose([
    transforms.RandomApply([transforms.CenterCrop(22)], p=0.1),
    transforms.Resize((28, 28)),
    transforms.RandomRotation((-15.0, 15.0), fill=0),
    transforms.ToTensor(),
    transforms.Normalize((0.1307,), (0.3081,)),
])
test_tf = transforms.Compose([
    transforms.RandomRotation((-15.0, 15.0), fill=0),  # expect FW401
    transforms.ToTensor(),
    transforms.Normalize((0.1307,), (0.3081,)),
])
settings = {"batch_size": 512, "shuffle": True}
train_data = datasets.MNIST("data", train=True, download=True, transform=train_tf)
test_data = datasets.MNIST("data", train=False, download=True, transform=test_tf)
train_loader = torch.utils.data.DataLoader(train_data, **settings)
test_loader = torch.utils.data.DataLoader(test_data, **settings)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3)    # parameters = 1*32*9 + 32 = 320
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3)   # parameters = 64*32*9 + 64 = 18496
        self.conv3 = nn.Conv2d(64, 128, kernel_size=3)
        self.conv4 = nn.Conv2d(128, 256, kernel_size=3)
        self.fc1 = nn.Linear(4096, 50)  # parameters = 256*20 = 12800 + 50 = 12850, expect FW122
        self.fc2 = nn.Linear(50, 10)    # parameters = 50*10 + 10 = 510

    def forward(self, x):
        x = F.relu(self.conv1(x), 2)  # expect FW106
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.conv3(x))
        x = F.relu(F.max_pool2d(self.conv4(x), 2))
        x = F.relu(self.fc1(x.flatten(1)))
        return F.log_softmax(self.fc2(x), dim=1)


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.0175, momentum=0.95)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.1)
for epoch in range(20):
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        F.nll_loss(model(images), labels).backward()
        optimizer.step()
    scheduler.step()
