from utils import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 6, 3)
        self.fc = nn.Linear(864, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        x = x.view(x.size(0), -1)
        return F.log_softmax(self.fc(x), dim=1)


model = Net().to("cuda" if cuda else "cpu")
optimizer = optim.SGD(model.parameters(), lr=0.01)
for data, target in train_loader:
    optimizer.zero_grad()
    F.nll_loss(model(data), target).backward()
    optimizer.step()
    log_file.write("one more batch\n")
