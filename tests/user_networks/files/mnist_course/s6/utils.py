"""Blocks that the attempts of this session share."""
import torch.nn as nn
import seaborn as sns
from torchvision.utils import make_grid

sns.set_theme()


def conv_bn_relu(cin, cout, padding=0, drop=0.05):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=padding, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(),
        nn.Dropout(drop),
    )


def show(images):
    return make_grid(images)
