from .resnet import *
from .separable import SeparableNet
