import torch.nn as nn
import torch.nn.functional as F

input_size = 784
hidden_sizes = [24, 16]
output_size = 10


class Perceptron(nn.Module):
    # images are flattened in the training loop: images.view(images.shape[0], -1)
    def __init__(self):
        super(Perceptron, self).__init__()
        self.hidden1 = nn.Linear(input_size, hidden_sizes[0])
        self.hidden2 = nn.Linear(hidden_sizes[0], hidden_sizes[1])
        self.output = nn.Linear(hidden_sizes[1], output_size)

    def forward(self, x):
        x = F.relu(self.hidden1(x))
        x = F.relu(self.hidden2(x))
        return F.log_softmax(self.output(x), dim=1)
