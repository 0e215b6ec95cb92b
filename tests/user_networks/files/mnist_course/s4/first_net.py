from __future__ import print_function
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torchvision import datasets, transforms
from torchsummary import summary
from tqdm import tqdm


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1) #input -? 28 OUtput? 28 RF 3
        self.conv2 = nn.Conv2d(4, 8, 3, padding=1) # RF 5
        self.pool1 = nn.MaxPool2d(2, 2) # RF 10
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1) # RF 12
        self.conv4 = nn.Conv2d(8, 12, 3, padding=1) # RF 14
        self.pool2 = nn.MaxPool2d(2, 2) # RF 28
        self.conv5 = nn.Conv2d(12, 12, 3) # RF 30
        self.conv6 = nn.Conv2d(12, 16, 3) # RF 32
        self.conv7 = nn.Conv2d(16, 10, 3) # RF 34

    def forward(self, x):
        x = self.pool1(F.relu(self.conv2(F.relu(self.conv1(x)))))
        x = self.pool2(F.relu(self.conv4(F.relu(self.conv3(x)))))
        x = F.relu(self.conv6(F.relu(self.conv5(x))))
        x = F.relu(self.conv7(x))
        x = x.view(-1, 10)
        return F.log_softmax(x)


use_cuda = torch.cuda.is_available()
device = torch.device("cuda" if use_cuda else "cpu")
print("Using", device)
model = Net().to(device)
summary(model, input_size=(1, 28, 28))

torch.manual_seed(1)
batch_size = 128

kwargs = {'num_workers': 1, 'pin_memory': True} if use_cuda else {}
train_loader = torch.utils.data.DataLoader(
    datasets.MNIST('../data', train=True, download=True,
                    transform=transforms.Compose([
                        transforms.ToTensor(),
                        transforms.Normalize((0.1307,), (0.3081,))
                    ])),
    batch_size=batch_size, shuffle=True, **kwargs)


def train(model, device, train_loader, optimizer, epoch):
    model.train()
    pbar = tqdm(train_loader)
    for batch_idx, (data, target) in enumerate(pbar):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        pbar.set_description(desc=f'loss={loss.item()} batch_id={batch_idx}')


optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for epoch in range(1, 2):
    train(model, device, train_loader, optimizer, epoch)

torch.save(model.state_dict(), "mnist.pth")
