import torch
import wandb
from torchvision import datasets

DROPOUT = 0.1
wandb.init(project="digits")
train_set = datasets.MNIST("./data", download=True)


def train_one_epoch(net):
    for images, labels in torch.utils.data.DataLoader(train_set, 64):
        wandb.log({"loss": torch.nn.functional.cross_entropy(net(images), labels).item()})


def plot_curves():
    wandb.finish()
