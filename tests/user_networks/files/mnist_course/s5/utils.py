import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import pandas as pd
import matplotlib.pyplot as plt
from torchvision import datasets, transforms

cuda = torch.cuda.is_available()
print("CUDA Available?", cuda)

train_transforms = transforms.Compose([
    transforms.RandomApply([transforms.CenterCrop(22), ], p=0.1),
    transforms.Resize((28, 28)),
    transforms.RandomRotation((-15., 15.), fill=0),
    transforms.ToTensor(),
    transforms.Normalize((0.1307,), (0.3081,)),
    ])

train_data = datasets.MNIST('../data', train=True, download=True, transform=train_transforms)
train_loader = torch.utils.data.DataLoader(train_data, batch_size=512, shuffle=True)
batch_data, batch_label = next(iter(train_loader))
fig = plt.figure()
log_file = open("train_log.txt", "w")
