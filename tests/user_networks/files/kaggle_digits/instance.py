import torch
from torch import nn, optim
from torchvision import datasets, transforms

# Build a feed-forward network
model = nn.Sequential(
    nn.Flatten(),
    nn.Linear(784, 24),
    nn.ReLU(),
    nn.Linear(24, 10),
    nn.LogSoftmax(dim=1),
)
print(model)
optimizer = optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
trainloader = torch.utils.data.DataLoader(datasets.MNIST('PATH_TO_STORE_TRAINSET', download=True), batch_size=64)
images, labels = next(iter(trainloader))
loss = nn.NLLLoss()(model(images), labels)
