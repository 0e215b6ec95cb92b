"""Rules follow meaning: names, styles and helper functions change nothing, and right code in odd styles passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from featherweight.doctor.examination import examine_source
from featherweight.doctor.source import from_text

WRONG = {
    "aliases": ("FW201", """
from torch import nn as layers
from torch.nn import functional as fn
net = layers.Sequential(layers.Linear(4, 3), layers.Softmax(dim=-1))
objective = layers.CrossEntropyLoss()
for a, b in batches:
    objective(net(a), b)  # here
"""),
    "a class attribute holds the loss": ("FW201", """
import torch.nn as nn
class Learner:
    def __init__(self, body):
        self.body = body
        self.measure = nn.CrossEntropyLoss()
    def fit(self, batches):
        for x, y in batches:
            p = self.body(x).softmax(-1)
            self.measure(p, y).backward()  # here
"""),
    "a helper function computes the loss": ("FW203", """
import torch
def cost(scores, truth):
    return torch.nn.functional.nll_loss(scores, truth)  # here
net = torch.nn.Linear(4, 3)
for x, y in loader:
    cost(net(x), y)
"""),
    "the softmax is a layer of the network": ("FW201", """
import torch, torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.act = nn.Softmax(dim=1)
    def forward(self, x):
        return self.act(self.last(x))
def train(net, loader, opt):
    criterion = nn.CrossEntropyLoss()
    for x, y in loader:
        opt.zero_grad()
        criterion(net(x), y).backward()  # here
        opt.step()
"""),
    "gradients are cleared in another loop": ("FW301", """
import torch
net = torch.nn.Linear(4, 3)
sgd = torch.optim.SGD(net.parameters(), 0.1)
torch.manual_seed(0)
for p in net.parameters():
    p.grad = None
while True:
    x, y = next_batch()
    loss = torch.nn.functional.mse_loss(net(x), y)
    loss.backward()  # here
    sgd.step()
"""),
    "mixed precision": ("FW301", """
import torch
def train(model, loader, optimizer, scaler):
    for x, y in loader:
        with torch.autocast("cuda"):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()  # here
        scaler.step(optimizer)
        scaler.update()
"""),
    "the metric goes through a function": ("FW501", """
import torch
from torchvision import datasets
held_out = torch.utils.data.DataLoader(datasets.MNIST("d", train=False))
def measure(model, batches):
    model.eval()
    hits = 0
    with torch.no_grad():
        for x, y in batches:
            hits += (model(x).argmax(1) == y).sum().item()
    return hits / len(batches.dataset)
record = 0
for round in range(9):
    result = measure(model, held_out)
    if result > record:  # here
        record = result
"""),
    "the maximum of a list": ("FW501", """
import torch
def measure(model, test_loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader) / len(test_loader.dataset)
accuracies = []
for epoch in range(9):
    accuracies.append(measure(model, test_loader))
print(max(accuracies))  # here
"""),
    "the count stands in a variable": ("FW504", """
import torch
def test(model, dl):
    model.eval()
    n = len(dl.dataset)
    running = 0.0
    with torch.no_grad():
        for x, y in dl:
            running += torch.nn.functional.cross_entropy(model(x), y).item()
    return running / n  # here
"""),
    "the size of the data set is written out": ("FW504", """
import torch
from torchvision import datasets
loader = torch.utils.data.DataLoader(datasets.MNIST("d", train=False), 100)
model = torch.nn.Linear(784, 10)
model.eval()
total = 0
with torch.no_grad():
    for x, y in loader:
        total += torch.nn.functional.cross_entropy(model(x), y).item()
print(total / 10000)  # here
"""),
    "the transform is shared": ("FW401", """
from torchvision import datasets, transforms
import torch
def augment():
    return transforms.Compose([
        transforms.RandomCrop(28, 2),  # here
        transforms.ToTensor()])
tf = augment()
a = datasets.CIFAR10("d", train=True, transform=tf)
b = datasets.CIFAR10("d", train=False, transform=tf)
"""),
    "the schedule is built in a function and thrown away": ("FW304", """
import torch
def fit(model, loader):
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 10)  # here
    for x, y in loader:
        opt.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
"""),
    "evaluation mode comes from a helper": ("FW310", """
import torch
import torch.nn as nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2))
net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2))
opt = torch.optim.SGD(net.parameters(), 0.1)
def freeze(n):
    n.eval()
freeze(net)
for x, y in loader:
    opt.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    opt.step()  # here
"""),
    "the validation loader reads a part of the training data": ("FW308", """
import torch, torch.nn as nn
from torchvision import datasets
from torch.utils.data import DataLoader, SubsetRandomSampler
torch.manual_seed(0)
data = datasets.CIFAR10("d", train=True)
train_loader = DataLoader(data, 20, sampler=SubsetRandomSampler(first))
valid_loader = DataLoader(data, 20, sampler=SubsetRandomSampler(second))
net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 50), nn.Dropout(0.5), nn.Linear(50, 10))
opt = torch.optim.SGD(net.parameters(), 0.01)
for epoch in range(3):
    net.train()
    for x, y in train_loader:
        opt.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
    for x, y in valid_loader:
        loss = nn.functional.cross_entropy(net(x), y)  # here
"""),
    "a network that is wrapped and moved": ("FW301", """
import torch
from somewhere import Backbone
model = Backbone(10).to(device)
model = torch.nn.DataParallel(model).cuda()
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for x, y in loader:
    torch.nn.functional.cross_entropy(model(x), y).backward()  # here
    optimizer.step()
"""),
    "rate True": ("FW106", """
import torch.nn.functional as F, torch.nn as nn
class Net(nn.Module):
    def forward(self, x):
        return F.dropout(x, self.training, training=self.training)  # here
"""),
    "a layer list that grows": ("FW108", """
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = []  # here
        for width in (8, 16):
            self.blocks.append(nn.Linear(width, width))
    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x
"""),
    "one cycle per epoch": ("FW305", """
import torch
model = torch.nn.Linear(4, 2)
opt = torch.optim.SGD(model.parameters(), 0.1)
plan = torch.optim.lr_scheduler.OneCycleLR(opt, 0.1, steps_per_epoch=len(train_loader), epochs=5)
for epoch in range(5):
    for x, y in train_loader:
        opt.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
    plan.step()  # here
"""),
    "two names for one layer": ("FW115", """
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3)
        self.conv2 = self.conv1  # here
    def forward(self, x):
        return self.conv2(self.conv1(x))
net = Net()
"""),
    "one block in two places of a list": ("FW115", """
import torch.nn as nn
block = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
net = nn.Sequential(block, block)  # here
"""),
    "one image in a batch, by default": ("FW116", """
import torch, torch.nn as nn
from torch.utils.data import DataLoader
net = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
loader = DataLoader(own_data, shuffle=True)  # here
for x, y in loader:
    nn.functional.cross_entropy(net(x), y).backward()
"""),
    "a function of NumPy on features": ("FW117", """
import numpy as np, torch, torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 2)
    def forward(self, x):
        h = self.a(x)
        h = torch.from_numpy(np.maximum(h, 0))  # here
        return self.b(h)
net = Net()
"""),
    "float64 arrays in a data set": ("FW408", """
import numpy as np, torch
from torch.utils.data import DataLoader, TensorDataset
x = torch.from_numpy(np.random.randn(100, 8))  # here
net = torch.nn.Linear(8, 2)
for a, b in DataLoader(TensorDataset(x, torch.zeros(100).long()), batch_size=10):
    net(a)
"""),
    "a batch without a full one": ("FW409", """
import torch
from torch.utils.data import DataLoader, random_split
few, rest = random_split(own_data, [50, 950])
loader = DataLoader(few, batch_size=64, drop_last=True)  # here
"""),
    "letters begin at 1": ("FW410", """
import torch, torch.nn as nn
from torchvision import datasets
letters = datasets.EMNIST("data", split="letters", train=True)
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 26))
for x, y in torch.utils.data.DataLoader(letters, batch_size=64, shuffle=True):
    nn.functional.cross_entropy(net(x), y)  # here
"""),
    "the accuracy counts other labels": ("FW410", """
import torch, torch.nn as nn
net = nn.Linear(8, 26)
def accuracy(loader):
    right = 0
    for x, y in loader:
        out = net(x)
        loss = nn.functional.cross_entropy(out, y - 1)
        right += (out.argmax(1) == y).sum()  # here
    return right
"""),
}
RIGHT = {
    "letters moved to 0, in both places": """
import torch, torch.nn as nn
from torchvision import datasets
letters = datasets.EMNIST("data", split="letters", train=True)
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 26))
for x, y in torch.utils.data.DataLoader(letters, batch_size=64, shuffle=True):
    y = y - 1
    out = net(x)
    loss = nn.functional.cross_entropy(out, y)
    hits = (out.argmax(1) == y).sum()
""",
    "frozen features are detached": """
import torch.nn as nn
class Net(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body, self.head = body, nn.Linear(8, 2)
    def forward(self, x):
        return self.head(self.body(x).detach())
net = Net(nn.Linear(8, 8))
""",
    "float64 arrays are converted": """
import numpy as np, torch
net = torch.nn.Linear(8, 2)
net(torch.from_numpy(np.random.randn(100, 8)).float())
net(torch.from_numpy(np.random.randn(100, 8).astype(np.float32)))
net(torch.tensor(np.zeros((4, 8)), dtype=torch.float32))
wide = torch.nn.Linear(8, 2).double()
wide(torch.from_numpy(np.random.randn(100, 8)))
""",
    "a pool and an activation in several places": """
import torch.nn as nn
act = nn.ReLU()
net = nn.Sequential(nn.Linear(8, 8), act, nn.Linear(8, 8), act)
""",
    "phases in one loop": """
import torch
def fit(model, loaders, criterion, optimizer, scheduler):
    for epoch in range(25):
        for phase in ["train", "val"]:
            if phase == "train":
                model.train()
            else:
                model.eval()
            total = 0.0
            for inputs, labels in loaders[phase]:
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    outputs = model(inputs)
                    loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                total += loss.item() * inputs.size(0)
            if phase == "train":
                scheduler.step()
            epoch_loss = total / len(loaders[phase].dataset)
""",
    "two optimizers in turn": """
import torch
def step(G, D, opt_g, opt_d, real, bce):
    opt_d.zero_grad()
    fake = G(torch.randn(8, 4))
    (bce(D(real), torch.ones(8, 1)) + bce(D(fake.detach()), torch.zeros(8, 1))).backward()
    opt_d.step()
    opt_g.zero_grad()
    bce(D(fake), torch.ones(8, 1)).backward()
    opt_g.step()
for epoch in range(3):
    for real, _ in loader:
        step(G, D, opt_g, opt_d, real, bce)
""",
    "a closure": """
import torch
net = torch.nn.Linear(4, 2)
opt = torch.optim.LBFGS(net.parameters())
for x, y in loader:
    def closure():
        opt.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
        return loss
    opt.step(closure)
""",
    "accumulation": """
import torch
def fit(model, loader, opt, n=4):
    model.train()
    opt.zero_grad(set_to_none=True)
    for i, (x, y) in enumerate(loader):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        (loss / n).backward()
        if (i + 1) % n == 0:
            opt.step()
            opt.zero_grad(set_to_none=True)
""",
    "losses added up before backward": """
import torch
def fit(model, loader, opt):
    for x, y in loader:
        total = 0
        for head in range(3):
            total += torch.nn.functional.cross_entropy(model(x)[head], y)
        opt.zero_grad()
        total.backward()
        opt.step()
""",
    "a teacher without gradients": """
import torch, torch.nn.functional as F
def distil(student, teacher, loader, opt):
    teacher.eval()
    student.train()
    for x, y in loader:
        opt.zero_grad()
        with torch.no_grad():
            soft = F.softmax(teacher(x), dim=1)
        F.kl_div(F.log_softmax(student(x), dim=1), soft, reduction="batchmean").backward()
        opt.step()
""",
    "softmax for the prediction only": """
import torch, torch.nn.functional as F
net = torch.nn.Linear(4, 3)
for x, y in loader:
    logits = net(x)
    loss = F.cross_entropy(logits, y)
    confidence = F.softmax(logits, dim=1).max()
""",
    "attention": """
import torch, torch.nn as nn, torch.nn.functional as F
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(8, 8)
        self.out = nn.Linear(8, 3)
    def forward(self, x):
        weights = F.softmax(F.relu(self.q(x)) @ x.transpose(1, 2), dim=-1)
        return self.out(weights @ x)
net = Attention()
for x, y in loader:
    F.cross_entropy(net(x), y)
""",
    "the network decides by a flag": """
import torch, torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        x = self.fc(x)
        if self.training:
            return x
        return torch.softmax(x, 1)
net = Net()
for x, y in loader:
    nn.functional.cross_entropy(net(x), y)
""",
    "best epoch on validation, test once": """
import torch
def accuracy(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)
best = 0
for epoch in range(9):
    score = accuracy(model, val_loader)
    if score > best:
        best = score
print(accuracy(model, test_loader))
""",
    "layers of a list are registered one by one": """
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for _ in range(3):
            layers += [nn.Linear(4, 4), nn.ReLU()]
        self.layers = [nn.Linear(4, 4)]
        self.body = nn.Sequential(*layers, *self.layers)
    def forward(self, x):
        return self.body(x)
""",
    "evaluation of a network without dropout": """
import torch, torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        return self.fc(x)
def test(model, test_loader):
    with torch.no_grad():
        for x, y in test_loader:
            model(x)
test(Net(), test_loader)
""",
    "the caller sets the mode": """
import torch, torch.nn as nn
net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
def predict(x):
    with torch.no_grad():
        return net(x)
net.eval()
print(predict(images))
""",
    "the caller stands above and is named like a method": """
import torch, torch.nn as nn
def validation(model, loader):
    for x, y in loader:
        model.forward(x).argmax(1)
def train(model, loader, held_out, criterion, optimizer):
    for epoch in range(3):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            criterion(model.forward(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            validation(model, held_out)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)
    def forward(self, x):
        return self.drop(x)
""",
    "a schedule that a framework gets": """
import torch, pytorch_lightning as pl
class Lit(pl.LightningModule):
    def configure_optimizers(self):
        opt = torch.optim.Adam(self.parameters(), lr=1e-3)
        plan = torch.optim.lr_scheduler.StepLR(opt, 5)
        return [opt], [plan]
    def training_step(self, batch, i):
        x, y = batch
        loss = torch.nn.functional.cross_entropy(self(x), y)
        self.log("loss", loss)
        return loss
    def validation_step(self, batch, i):
        x, y = batch
        return self(x).argmax(1)
""",
    "one cycle per batch": """
import torch
model = torch.nn.Linear(4, 2)
opt = torch.optim.SGD(model.parameters(), 0.1)
plan = torch.optim.lr_scheduler.OneCycleLR(opt, 0.1, steps_per_epoch=len(train_loader), epochs=5)
for epoch in range(5):
    for x, y in train_loader:
        opt.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
        plan.step()
""",
    "a saliency map": """
import torch
net = torch.nn.Linear(4, 2)
net.eval()
for x, y in test_loader:
    x.requires_grad_()
    net(x).max().backward()
    print(x.grad)
""",
    "autograd by hand": """
import torch
w = torch.tensor(2.0, requires_grad=True)
y = w * 3 + 1
y.backward()
opt = torch.optim.SGD([w], lr=0.1)
opt.step()
""",
    "a training of numpy": """
import numpy as np
for epoch in range(3):
    loss = ((x @ w - y) ** 2).mean()
    w -= 0.1 * gradient(x, y, w)
""",
    "sum of losses times batch size": """
import torch
def test(model, test_loader, criterion=torch.nn.CrossEntropyLoss()):
    model.eval()
    total = seen = 0
    with torch.no_grad():
        for x, y in test_loader:
            total += criterion(model(x), y).item() * len(x)
            seen += len(x)
    return total / seen, total / len(test_loader.dataset)
""",
}


def findings(text: str):
    return examine_source(from_text(Path("example.py"), text))[0]


@pytest.mark.parametrize("name", WRONG)
def test_the_mistake_is_found_whatever_the_names(name):
    code, text = WRONG[name]
    line = next(number for number, content in enumerate(text.split("\n"), 1) if "# here" in content)
    assert [finding.place.line for finding in findings(text) if finding.code == code] == [line]
    assert {finding.code for finding in findings(text) if finding.severity == "error"} <= {code}


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_in_another_style_has_no_error(name):
    assert [finding for finding in findings(RIGHT[name]) if finding.severity == "error"] == []


def test_a_module_beside_the_file_is_followed(tmp_path):
    from featherweight.doctor import examine

    (tmp_path / "utils.py").write_text(
        "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
        "def train(model, loader, criterion):\n    for x, y in loader:\n        criterion(model(x), y)\n")
    (tmp_path / "main.py").write_text(
        "import utils\nfrom utils import *\nnet = utils.nn.Linear(4, 2)\n"
        "utils.train(net, train_loader, utils.F.nll_loss)\n"
        "for epoch in range(3):\n    utils.train(net, train_loader, epoch)\n# torch\n")
    found = [(Path(finding.place.file).name, finding.code, finding.place.line)
             for finding in examine([tmp_path / "main.py"]).findings]
    assert found == [("main.py", "FW208", 6), ("utils.py", "FW203", 6)]
