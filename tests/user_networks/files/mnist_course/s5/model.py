import utils as utilval


class Net(utilval.nn.Module):
    #This defines the structure of the NN.
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = utilval.nn.Conv2d(1, 4, kernel_size=3)
        self.conv2 = utilval.nn.Conv2d(4, 8, kernel_size=3)
        self.conv3 = utilval.nn.Conv2d(8, 12, kernel_size=3)
        self.conv4 = utilval.nn.Conv2d(12, 16, kernel_size=3)
        self.fc1 = utilval.nn.Linear(256, 20)
        self.fc2 = utilval.nn.Linear(20, 10)

    def forward(self, x):
        x = utilval.F.relu(self.conv1(x), 2)
        x = utilval.F.relu(utilval.F.max_pool2d(self.conv2(x), 2))
        x = utilval.F.relu(self.conv3(x), 2)
        x = utilval.F.relu(utilval.F.max_pool2d(self.conv4(x), 2))
        x = x.view(-1, 256) # 4*4*16 = 256
        x = utilval.F.relu(self.fc1(x))
        x = self.fc2(x)
        return utilval.F.log_softmax(x, dim=1)
