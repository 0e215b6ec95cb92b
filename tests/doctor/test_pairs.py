"""Scripts in the styles of courses and competitions: one line is wrong, and with another line the script is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from featherweight.doctor.examination import examine_source
from featherweight.doctor.source import from_text

LOOP = """
model.train()
for epoch in range(3):
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
"""
DATA = """
import torch
from torch import nn
from torchvision import datasets, models, transforms
torch.manual_seed(1)
to_tensor = transforms.ToTensor()
train_loader = torch.utils.data.DataLoader(datasets.CIFAR10("d", train=True, transform=to_tensor), 64, shuffle=True)
test_loader = torch.utils.data.DataLoader(datasets.CIFAR10("d", train=False, transform=to_tensor), 64)
"""
TRANSFER = DATA + """
model = models.resnet18()
HERE
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), 0.1)
""" + LOOP
NETWORK = """
import torch
from torch import nn
from torch.nn import functional as fn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Linear(8 * 16 * 16, 10)
    def forward(self, x):
        x = fn.max_pool2d(fn.relu(self.norm(self.conv(x))), 2)
        HERE
        return self.last(x)
"""
ACCURACY = DATA + """
model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
model.eval()
hits = count = 0
batch_size = 64
with torch.no_grad():
    for x, y in test_loader:
        hits += (model(x).argmax(1) == y).sum().item()
        count += COUNT
HERE
"""
PREDICTION = """
import cv2, torch
from PIL import Image
from torch import nn
from torchvision import datasets, transforms
preprocess = transforms.Compose([transforms.Resize((28, 28)), transforms.ToTensor()])
mnist = datasets.MNIST("d", train=True, transform=preprocess)
model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""
MEASURED = DATA + """
def build(lr):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr)
    for x, y in train_loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model
def measured(model, loader):
    model.eval()
    hits = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x).argmax(1) == y).sum().item()
    return hits / len(loader.dataset)
val_loader = torch.utils.data.DataLoader(torch.utils.data.Subset(train_loader.dataset, range(100)), 64)
"""
DOUBLE = """
import numpy as np, torch
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split
X, y = make_moons(1000)
HERE
X_train, X_test, y_train, y_test = train_test_split(X, torch.from_numpy(y))
X_train = X_train.to("cpu")
model = torch.nn.Linear(2, 2)
model(X_train)
"""
OWN_DATA = """
import numpy as np, torch
class Table(torch.utils.data.Dataset):
    def __init__(self, file):
        table = np.loadtxt(file)
        self.x = (table[:, :-1] - 1) / 2
        self.y = table[:, -1].astype(np.int64)
    def __len__(self):
        return len(self.x)
    def __getitem__(self, index):
        HERE
torch.manual_seed(1)
model = torch.nn.Linear(4, 3)
for x, y in torch.utils.data.DataLoader(Table("t.csv"), 32, shuffle=True):
    model(x)
"""
GAN = """
import torch
from torch import nn
generator, critic = nn.Sequential(nn.Linear(8, 4)), nn.Sequential(nn.Linear(4, 1))
loss = nn.BCEWithLogitsLoss()
of_critic = torch.optim.Adam(critic.parameters(), 0.001)
HERE
for real, one, zero, noise in batches:
    fake = generator(noise)
    of_critic.zero_grad()
    (loss(critic(real), one) + loss(critic(fake.detach()), zero)).backward()
    of_critic.step()
    of_generator.zero_grad()
    loss(critic(fake), one).backward()
    of_generator.step()
"""
EARLY = DATA + """
model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
criterion, lowest, waited = nn.CrossEntropyLoss(), 9.0, 0
def mean_loss(loader):
    total = 0
    with torch.no_grad():
        for x, y in loader:
            total += criterion(model(x), y).item()
    return total / len(loader)
val_loader = torch.utils.data.DataLoader(torch.utils.data.Subset(train_loader.dataset, range(100)), 64)
for epoch in range(9):
    model.eval()
    HERE
        lowest, waited = current, 0
    else:
        waited += 1
        if waited > 3:
            break
"""
PAIRS = {      # name -> (code, text, wrong line, right line)
    "an accuracy that stops a training by its minimum": (
        "FW514", "import torch\nfrom pytorch_lightning.callbacks import EarlyStopping\nNAME = 'val/acc'\nHERE\n"
        "model = torch.nn.Linear(4, 3)\n",
        "stop = EarlyStopping(NAME, patience=3)", "stop = EarlyStopping(NAME, patience=3, mode='max')"),
    "a loss that a checkpoint takes by its maximum": (
        "FW514", "import torch\nfrom lightning.pytorch.callbacks import ModelCheckpoint\nHERE\n"
        "model = torch.nn.Linear(4, 3)\n",
        "kept = ModelCheckpoint(monitor='val_loss', mode='max')", "kept = ModelCheckpoint(monitor='val_loss')"),
    "a sampler built in the call of the loader": (
        "FW324", DATA + "from torch.utils.data import DataLoader, DistributedSampler, RandomSampler\n"
        "data = train_loader.dataset\nHERE\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\ncriterion = nn.CrossEntropyLoss()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n" + LOOP,
        "train_loader = DataLoader(data, 64, sampler=DistributedSampler(data))",
        "train_loader = DataLoader(data, 64, sampler=RandomSampler(data))"),
    "an object that counts the epochs it waits": (
        "FW325", "import torch\nclass EarlyStopping:\n    def __init__(self, patience):\n"
        "        self.patience, self.counter, self.best = patience, 0, None\n    def __call__(self, score):\n"
        "        if self.best is None:\n            self.best = score\n        elif score > self.best:\n"
        "            self.best = score\n        HERE\n        if self.counter >= self.patience:\n"
        "            self.early_stop = True\nmodel = torch.nn.Linear(4, 3)\n",
        "else: self.counter += 1", "    self.counter = 0\n        else:\n            self.counter += 1"),
    "colours of normalised images, in a list of transforms of its own": (
        "FW420", DATA + "steps = [to_tensor, transforms.Normalize((0.5,), (0.5,))]\n"
        "moved = transforms.Compose([*steps, transforms.RandomHorizontalFlip(),\n    HERE\n])\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n",
        "transforms.RandomApply([transforms.ColorJitter(0.2)]),", "transforms.RandomErasing(),"),
    "the table of CIFAR-10": (
        "FW421", DATA + "data = datasets.CIFAR10('d')\ntable = torch.from_numpy(data.data).float() / 255\nHERE\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n",
        "images = table.view(-1, 3, 32, 32)", "images = table.permute(0, 3, 1, 2)"),
    "sizes of a picture in another order": (
        "FW421", "import torch\nimport cv2\ndef prepared(file):\n    x = torch.tensor(load(file))\n"
        "    h, w, c = x.shape\n    HERE\nmodel = torch.nn.Linear(4, 3)\n",
        "return x.reshape(c, h, w)", "return x.permute(2, 0, 1).reshape(c, h, w)"),
    "a frozen network of timm without weights": (
        "FW326", "import timm\nimport torch\nfrom torch import nn\nclass Probe(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        HERE\n"
        "        self.body.requires_grad_(False)\n        self.head = nn.Linear(512, 10)\n"
        "    def forward(self, x):\n        return self.head(self.body(x))\nmodel = Probe()\n"
        "opt = torch.optim.SGD(model.head.parameters(), 0.1)\nbest = model.state_dict()\n"
        "model.load_state_dict(best)\n",
        "self.body = timm.create_model('resnet18', pretrained=False, num_classes=0)",
        "self.body = timm.create_model('resnet18', pretrained=True, num_classes=0)"),
    "the last layer of a network of torchvision is replaced": (
        "FW102", TRANSFER, "model.fc = nn.Sequential(nn.Linear(512, 10), nn.Dropout(0.5))",
        "model.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 10))"),
    "a layer inside the classifier is replaced": (
        "FW102", TRANSFER.replace("resnet18", "alexnet"),
        "model.classifier[6] = nn.Sequential(nn.Linear(4096, 10), nn.Dropout(0.5))",
        "model.classifier[6] = nn.Linear(4096, 10)"),
    "a network of torchvision keeps its 1000 outputs": (
        "FW113", DATA + "HERE\nmodel.train()\nloss_fn = nn.CrossEntropyLoss()\nfor x, y in train_loader:\n"
        "    loss_fn(model(x), y)\n", "model = models.resnet18()", "model = models.resnet18(num_classes=10)"),
    "a flag in the place of the stride": (
        "FW106", "import torch.nn as nn\nHERE\n", "c = nn.Conv2d(1, 16, 5, True)",
        "c = nn.Conv2d(1, 16, 5, bias=True)"),
    "a flag in the place of the layers": (
        "FW106", "import torch.nn as nn\nHERE\n", "g = nn.GRU(8, 16, True)", "g = nn.GRU(8, 16, batch_first=True)"),
    "another alias of torch's functions": (
        "FW107", NETWORK, "x = fn.dropout(x.flatten(1), p=0.3)",
        "x = fn.dropout(x.flatten(1), p=0.3, training=self.training)"),
    "a bias that is asked for": (
        "FW110", NETWORK.replace("self.conv = nn.Conv2d(3, 8, 3, padding=1)", "HERE").replace(
            "        HERE\n        return", "        x = x.flatten(1)\n        return"),
        "self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=True)",
        "self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)"),
    "a width that images of this data set do not give": (
        "FW112", DATA + NETWORK + "model = Net()\nmodel.train()\nfor x, y in train_loader:\n    model(x)\n",
        "x = x.view(-1, 8 * 8 * 8)", "x = x.view(-1, 8 * 16 * 16)"),
    "the loss of a network of transformers": (
        "FW301", "import torch\nfrom transformers import AutoModel\nmodel = AutoModel.from_pretrained('bert')\n"
        "opt = torch.optim.AdamW(model.parameters(), 2e-5)\nfor batch in train_loader:\n    out = model(**batch)\n"
        "    loss = out.loss\n    HERE\n    opt.step()\n",
        "loss.backward()", "opt.zero_grad(); loss.backward()"),
    "a loss times the images of its batch is added up": (
        "FW311", "import torch\nmodel = torch.nn.Linear(4, 1)\nfit = torch.nn.MSELoss()\n"
        "opt = torch.optim.SGD(model.parameters(), 0.1)\ntotal = 0\nfor x, y in train_loader:\n    opt.zero_grad()\n"
        "    loss = fit(model(x), y)\n    loss.backward()\n    opt.step()\n    HERE\n",
        "total += loss * len(x)", "total += loss.item() * len(x)"),
    "accumulation with a GradScaler": (
        "FW312", "import torch\nmodel = torch.nn.Linear(4, 3)\nopt = torch.optim.SGD(model.parameters(), 0.1)\n"
        "scaler = torch.amp.GradScaler('cuda')\nfor i, (x, y) in enumerate(train_loader):\n"
        "    loss = torch.nn.functional.cross_entropy(model(x), y)\n    HERE\n    if (i + 1) % 8 == 0:\n"
        "        scaler.step(opt)\n        scaler.update()\n        opt.zero_grad()\n",
        "scaler.scale(loss).backward()", "scaler.scale(loss / 8).backward()"),
    "two optimizers hold one network": (
        "FW313", GAN, "of_generator = torch.optim.Adam(critic.parameters(), 0.001)",
        "of_generator = torch.optim.Adam(generator.parameters(), 0.001)"),
    "parts of two data sets without roles": (
        "FW402", "import torch\nfrom torch.utils.data import DataLoader, Subset\nfrom torchvision import datasets, "
        "transforms as T\ndef parts():\n    one = T.Compose([T.ToTensor(), T.Normalize(0.4, 0.2)])\n    HERE\n"
        "    moved, plain = datasets.EuroSAT('d', transform=one), datasets.EuroSAT('d', transform=two)\n"
        "    return Subset(moved, range(9)), Subset(plain, range(9, 20))\ntrain_set, test_set = parts()\n"
        "train_loader, test_loader = DataLoader(train_set, 4, shuffle=True), DataLoader(test_set, 4)\n",
        "two = T.Compose([T.ToTensor(), T.Normalize(0.5, 0.5)])",
        "two = T.Compose([T.ToTensor(), T.Normalize(0.4, 0.2)])"),
    "a scaler that is fitted twice": (
        "FW402", "import torch\nfrom sklearn.preprocessing import StandardScaler\n"
        "from sklearn.model_selection import train_test_split\n"
        "X_train, X_test, y_train, y_test = train_test_split(X, y)\nscaler = StandardScaler()\n"
        "X_train = scaler.fit_transform(X_train)\nHERE\n",
        "X_test = scaler.fit_transform(X_test)", "X_test = scaler.transform(X_test)"),
    "the transform of the training does not invert": (
        "FW404", PREDICTION + "def read(file):\n    image = Image.open(file).convert('L')\n    model.eval()\n"
        "    with torch.no_grad():\n        HERE\n",
        "return model(preprocess(image)[None])", "return model(preprocess(ImageOps.invert(image))[None])"),
    "a picture in a notebook": (
        "FW404", PREDICTION + "model.eval()\nimage = cv2.resize(cv2.imread('a.png', 0), (28, 28))\n"
        "x = torch.from_numpy(image).float() / 255\nwith torch.no_grad():\n    HERE\n",
        "print(model(x))", "print(model(1 - x))"),
    "a test loader over the arrays of the training": (
        "FW407", "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\ndef parts():\n"
        "    return TensorDataset(a, b), TensorDataset(c, d)\ntrain_ds, test_ds = parts()\n"
        "train_loader = DataLoader(train_ds, 8, shuffle=True)\nHERE\n",
        "test_loader = DataLoader(train_ds, 8)", "test_loader = DataLoader(test_ds, 8)"),
    "arrays of scikit-learn": ("FW408", DOUBLE, "X = torch.from_numpy(X)", "X = torch.from_numpy(X).float()"),
    "a data set of the file gives float64": (
        "FW408", OWN_DATA, "return torch.from_numpy(self.x[index]), self.y[index]",
        "return torch.from_numpy(self.x[index]).float(), self.y[index]"),
    "early stopping with a counter": (
        "FW502", EARLY, "if (current := mean_loss(test_loader)) < lowest:",
        "if (current := mean_loss(val_loader)) < lowest:"),
    "results by setting in a table": (
        "FW503", MEASURED + "found = {lr: measured(build(lr), test_loader) for lr in (0.1, 0.01)}\nHERE\n",
        "best = max(found, key=found.get)", "print(found)"),
    "an objective of Optuna": (
        "FW503", MEASURED + "import optuna\ndef objective(trial):\n"
        "    model = build(trial.suggest_float('lr', 0.01, 1))\n"
        "    HERE\nstudy = optuna.create_study(direction='maximize')\nstudy.optimize(objective, n_trials=9)\n",
        "return measured(model, test_loader)", "return measured(model, val_loader)"),
    "the size of the last batch": (
        "FW506", ACCURACY.replace("COUNT", "len(y)"), "print(hits / y.shape[0])", "print(hits / count)"),
    "every batch counts as a full one": (
        "FW507", ACCURACY.replace("count += COUNT", "count += batch_size"), "print(hits / count)",
        "print(hits / len(test_loader.dataset))"),
    "batches go through a generator": (
        "FW506", DATA + "def moved(loader):\n    for x, y in loader:\n        yield x.cuda(), y.cuda()\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\nmodel.eval()\nhits = 0\nwith torch.no_grad():\n"
        "    for x, y in moved(test_loader):\n        hits += (model(x).argmax(1) == y).sum().item()\nHERE\n",
        "print(hits / len(train_loader.dataset))", "print(hits / len(test_loader.dataset))"),
    "the best of a table": (
        "FW501", MEASURED + "best = {'accuracy': 0.0}\nmodel = build(0.1)\nfor epoch in range(9):\n"
        "    HERE\n        best.update(accuracy=1.0, epoch=epoch)\n",
        "if measured(model, test_loader) > best['accuracy']:", "if measured(model, val_loader) > best['accuracy']:"),
    "an object that stops early": (
        "FW502", MEASURED + "class EarlyStopping:\n    def __init__(self):\n        self.best = 0\n"
        "    def __call__(self, value):\n        if value > self.best:\n            self.best = value\n"
        "        return value < self.best\nstop, model = EarlyStopping(), build(0.1)\nfor epoch in range(9):\n"
        "    HERE\n        break\n",
        "if stop(measured(model, test_loader)):", "if stop(measured(model, val_loader)):"),
    "the losses of full batches": (
        "FW507", DATA + "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\ntotal = 0\nmodel.eval()\n"
        "with torch.no_grad():\n    for x, y in test_loader:\n        loss = nn.functional.cross_entropy(model(x), y)\n"
        "        total += loss.item() * batch_size\nHERE\n",
        "print(total / len(test_loader.dataset))", "print(total)"),
    "a data set of functools.partial": (
        "FW113", DATA + "from functools import partial\nmake = partial(datasets.CIFAR100, 'd')\n"
        "loader = torch.utils.data.DataLoader(make(train=True, transform=to_tensor), 64, shuffle=True)\n"
        "HERE\nmodel.train()\nloss_fn = nn.CrossEntropyLoss()\nfor x, y in loader:\n    loss_fn(model(x), y)\n",
        "model = models.resnet18(num_classes=10)", "model = models.resnet18(num_classes=100)"),
    "layers of an OrderedDict": (
        "FW104", "import torch\nfrom collections import OrderedDict\nfrom torch import nn\n"
        "model = nn.Sequential(OrderedDict([('one', nn.Linear(4, 3)),\n    HERE\n]))\n",
        "('two', nn.Softmax())", "('two', nn.Softmax(dim=1))"),
    "losses in a defaultdict": (
        "FW311", "import torch\nfrom collections import defaultdict\nmodel = torch.nn.Linear(4, 1)\n"
        "fit, log = torch.nn.MSELoss(), defaultdict(list)\nopt = torch.optim.SGD(model.parameters(), 0.1)\n"
        "for x, y in train_loader:\n    opt.zero_grad()\n    loss = fit(model(x), y)\n    loss.backward()\n"
        "    opt.step()\n    HERE\n", "log['train'].append(loss)", "log['train'].append(loss.item())"),
    "a list without its last layer": (
        "FW101", DATA + "layers = []\nfor n in range(2):\n    HERE\n"
        "model = nn.Sequential(*layers[:-1])\nfor x, y in train_loader:\n"
        "    nn.functional.cross_entropy(model(x.flatten(1)), y)\n",
        "layers += [nn.Linear(3072, n), nn.ReLU(), nn.Dropout(0.1)]", "layers += [nn.Linear(3072, n), nn.ReLU()]"),
    "options of a helper": (
        "FW405", DATA + "def make(data, **more):\n    HERE\nloader = make(train_loader.dataset)\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
        "for x, y in loader:\n    optimizer.zero_grad()\n    nn.functional.cross_entropy(model(x), y).backward()\n"
        "    optimizer.step()\n", "return torch.utils.data.DataLoader(data, 64, **more)",
        "return torch.utils.data.DataLoader(data, 64, **{'shuffle': True, **more})"),
    "workers in a main function without a guard": (
        "FW603", "import torch\ndef main():\n    torch.manual_seed(1)\n    HERE\n    model = torch.nn.Linear(4, 3)\n"
        "    for x, y in loader:\n        model(x)\nmain()\n",
        "loader = torch.utils.data.DataLoader(data, 8, num_workers=4)",
        "loader = torch.utils.data.DataLoader(data, 8)"),
    "the default of an option": (
        "FW604", "import argparse, torch\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('-l', '--lr', type=float, default=0.5)\n"
        "args = parser.parse_args()\nmodel = torch.nn.Linear(4, 3)\nHERE\n",
        "opt = torch.optim.Adam(model.parameters(), lr=args.lr)",
        "opt = torch.optim.SGD(model.parameters(), lr=args.lr)"),
    "gradients of several batches are cleared in each": (
        "FW302", DATA + "model = models.resnet18(num_classes=10)\nopt = torch.optim.SGD(model.parameters(), 0.1)\n"
        "model.train()\nfor i, (x, y) in enumerate(train_loader):\n    HERE\n"
        "    (nn.functional.cross_entropy(model(x), y) / 4).backward()\n"
        "    if (i + 1) % 4 == 0:\n        opt.step()\n        opt.zero_grad()\n", "opt.zero_grad()", "pass"),
    "a layer is replaced after the optimizer was built": (
        "FW313", DATA + "model = models.resnet18()\noptimizer = torch.optim.SGD(model.fc.parameters(), 0.1)\nHERE\n"
        "criterion = nn.CrossEntropyLoss()\n" + LOOP, "model.fc = nn.Linear(512, 10)",
        "model.fc = nn.Linear(512, 10); optimizer = torch.optim.SGD(model.fc.parameters(), 0.1)"),
    "a head that no group holds": (
        "FW313", "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.body, self.one, self.two = (nn.Linear(4, 4) for _ in range(3))\n"
        "        self.body = nn.Linear(4, 4)\n        self.one = nn.Linear(4, 3)\n        self.two = nn.Linear(4, 2)\n"
        "    def forward(self, x):\n        x = self.body(x)\n        return self.one(x), self.two(x)\n"
        "model = Net()\nHERE\n",
        "opt = torch.optim.Adam([{'params': model.body.parameters()}, {'params': model.one.parameters()}])",
        "opt = torch.optim.Adam([{'params': part.parameters()} for part in (model.body, model.one, model.two)])"),
    "probabilities in a divergence": (
        "FW203", DATA + "model, teacher = models.resnet18(num_classes=10), models.resnet50(num_classes=10)\n"
        "for x, y in train_loader:\n    soft = torch.softmax(teacher(x) / 4, dim=1)\n    HERE\n",
        "nn.functional.kl_div(torch.softmax(model(x) / 4, dim=1), soft, reduction='batchmean')",
        "nn.functional.kl_div(torch.log_softmax(model(x) / 4, dim=1), soft, reduction='batchmean')"),
    "transforms of albumentations in an own data set": (
        "FW401", "import albumentations as A\nimport torch\nclass Plants(torch.utils.data.Dataset):\n"
        "    def __init__(self, table, transform):\n        self.table, self.transform = table, transform\n"
        "steps = A.Compose([\n    A.Resize(64, 64),\n    HERE\n    A.Normalize(),\n])\n"
        "valid = Plants('v.csv', steps)\n",
        "A.HorizontalFlip(p=0.5),", "A.CenterCrop(56, 56),"),
    "the running maximum of a test result": (
        "FW501", MEASURED + "model, best = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), 0.0\n"
        "for epoch in range(9):\n    train(model, train_loader)\n    HERE\n",
        "accuracy = measured(model, test_loader); best = max(best, accuracy)",
        "accuracy = measured(model, val_loader); best = max(best, accuracy)"),
    "results by a pair of settings": (
        "FW503", MEASURED + "results = {}\nfor lr in (0.1, 0.01):\n    for decay in (0, 1e-4):\n"
        "        results[lr, decay] = measured(build(lr), test_loader)\nHERE\n",
        "print(max(results, key=results.get))", "print(results)"),
    "the learning rate of a dataclass": (
        "FW604", "import torch\nfrom dataclasses import dataclass\n@dataclass\nclass Settings:\n    lr: float = 0.5\n"
        "settings = Settings()\nmodel = torch.nn.Linear(4, 3)\nHERE\n",
        "opt = torch.optim.AdamW(model.parameters(), lr=settings.lr)",
        "opt = torch.optim.AdamW(model.parameters(), lr=Settings(1e-3).lr)"),
    "the classes of a class of constants": (
        "FW113", DATA + "class CFG:\n    classes = 100\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        HERE\n    def forward(self, x):\n        return self.last(x.flatten(1))\n"
        "model = Net()\nmodel.train()\nloss_fn = nn.CrossEntropyLoss()\n"
        "for x, y in train_loader:\n    loss_fn(model(x), y)\n",
        "self.last = nn.Linear(3072, CFG.classes)", "self.last = nn.Linear(3072, CFG.classes // 10)"),
    "a width in an attribute, for images of a stated size": (
        "FW112", NETWORK.replace("self.last", "self.width = 8 * 16 * 16\n        self.last", 1) +
        "from torchvision import datasets, transforms\n"
        "steps = transforms.Compose([transforms.Resize((64, 64)), transforms.ToTensor()])\n"
        "data = datasets.ImageFolder('train', steps)\nmodel = Net()\nmodel.train()\n"
        "for x, y in torch.utils.data.DataLoader(data, 64, shuffle=True):\n    model(x)\n",
        "x = x.view(-1, self.width)", "x = x.view(-1, 4 * self.width)"),
    "parameters in the comment above": (
        "FW122", "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        HERE\n        self.last = nn.Linear(64 * 7 * 7, 128)\n"
        "    def forward(self, x):\n        return self.last(x)\n",
        "# 64x7x7 -> 128: 128 * (64 * 7) + 128 = 57,472 parameters",
        "# 64x7x7 -> 128: 128 * (64 * 49) + 128 = 401,536 parameters"),
    "a size in a comment": (
        "FW713", DATA + "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.one = nn.Conv2d(3, 8, 3, padding=1)      # 8 x 32 x 32\n        HERE\n"
        "        self.last = nn.Linear(8 * 256, 10)\n    def forward(self, x):\n"
        "        return self.last(self.pool(self.one(x)).flatten(1))\n"
        "model = Net()\nmodel.train()\nfor x, y in train_loader:\n    model(x)\n",
        "self.pool = nn.MaxPool2d(2)     # 8 x 32 x 32", "self.pool = nn.MaxPool2d(2)     # 8 x 16 x 16"),
    "a data loader in the place of the network": (
        "FW208", MEASURED + "model = build(0.1)\nHERE\n", "print(measured(val_loader, model))",
        "print(measured(model, val_loader))"),
    "an early stop with a method": (
        "FW502", EARLY + "class EarlyStop:\n    def __init__(self, patience):\n"
        "        self.best, self.left = 9, patience\n"
        "    def step(self, value):\n        self.left -= value > self.best\n        return self.left < 0\n"
        "stopper = EarlyStop(3)\nfor epoch in range(9):\n    fit(model)\n    HERE\n        break\n",
        "if stopper.step(mean_loss(test_loader)):", "if stopper.step(mean_loss(train_loader)):"),
    "a batch size by another name": (
        "FW507", DATA + "bs = 64\ntest_loader = torch.utils.data.DataLoader(test_loader.dataset, bs)\n"
        "model, hits, count = nn.Linear(9, 3), 0, 0\n"
        "model.eval()\nwith torch.no_grad():\n    for x, y in test_loader:\n"
        "        hits += (model(x).argmax(1) == y).sum().item()\n        count += bs\nHERE\n",
        "print(hits / count)", "print(hits / 10_000)"),
    "shapes in the comments of forward": (
        "FW713", DATA + "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.one, self.pool = nn.Conv2d(3, 8, 5), nn.MaxPool2d(2)\n"
        "        self.last = nn.Linear(8 * 196, 10)\n"
        "    def forward(self, x):\n        x = self.one(x)     # (B, 8, 28, 28)\n        HERE\n"
        "        return self.last(x.flatten(1))\nmodel = Net()\nmodel.train()\n"
        "for x, y in train_loader:\n    model(x)\n",
        "x = self.pool(x)     # (B, 8, 16, 16)", "x = self.pool(x)     # (B, 8, 14, 14)"),
    "a network made before the folds, an optimizer inside": (
        "FW508", "import torch\nfrom sklearn.model_selection import KFold\nfrom torch import nn\n"
        "def fit(net, data):\n    optimizer = torch.optim.SGD(net.parameters(), 0.1)\n"
        "    for x, y in torch.utils.data.DataLoader(data, 64, shuffle=True):\n        optimizer.zero_grad()\n"
        "        nn.functional.cross_entropy(net(x), y).backward()\n        optimizer.step()\n"
        "net = nn.Linear(4, 3)\nHERE\n    fit(net, torch.utils.data.Subset(full, inside))\n",
        "for inside, outside in KFold(5).split(full):", "for inside, outside in [(range(80), range(20))]:"),
    "defaults of nested dataclasses": (
        "FW604", "import torch\nfrom dataclasses import dataclass, field\n@dataclass\nclass Rate:\n"
        "    lr: float = 0.1\n"
        "@dataclass\nclass Config:\n    rate: Rate = field(default_factory=Rate)\ndef main(config: Config):\n"
        "    model = torch.nn.Linear(4, 3)\n    HERE\n",
        "opt = torch.optim.AdamW(model.parameters(), lr=config.rate.lr)",
        "opt = torch.optim.SGD(model.parameters(), lr=config.rate.lr)"),
    "one part of a split reads a copy": (
        "FW413", DATA + "import copy\nfull = train_loader.dataset\n"
        "first, second = torch.utils.data.random_split(full, [45_000, 5_000])\nHERE\n"
        "train = torch.utils.data.DataLoader(first, 64, shuffle=True)\n"
        "valid = torch.utils.data.DataLoader(second, 64)\n",
        "second.dataset.transform = to_tensor",
        "second.dataset = copy.copy(full); second.dataset.transform = to_tensor"),
    "classes on the last axis after a mean over the image": (
        "FW105", DATA + "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.one, self.last = nn.Conv2d(3, 8, 5), nn.Linear(8, 10)\n    def forward(self, x):\n"
        "        x = self.last(self.one(x).mean(dim=(2, 3)))\n        HERE\n        return x\nmodel = Net()\n"
        "for x, y in test_loader:\n    model(x)\n",
        "x = nn.functional.log_softmax(x, dim=0)", "x = nn.functional.log_softmax(x, dim=1)"),
    "stacked outputs of several networks": (
        "FW105", DATA + "nets = [nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)) for _ in range(3)]\n"
        "for x, y in test_loader:\n    stacked = torch.stack([net(x) for net in nets])\n    HERE\n",
        "mean = stacked.softmax(dim=1).mean(0)", "mean = stacked.softmax(dim=2).mean(0)"),
    "a flag in the settings": (
        "FW106", DATA + "HERE\nclass Net(nn.Module):\n    def __init__(self, s):\n        super().__init__()\n"
        "        self.drop = nn.Dropout(s['drop'])\n        self.fc = nn.Linear(3072, 10)\n"
        "    def forward(self, x):\n        return self.fc(self.drop(x.flatten(1)))\nmodel = Net(SETTINGS)\n",
        "SETTINGS = {'drop': True}", "SETTINGS = {'drop': 0.3}"),
    "a normalisation in a class of its own": (
        "FW116", DATA + "class Unit(nn.Sequential):\n    def __init__(self, a, b):\n"
        "        super().__init__(nn.Conv2d(a, b, 3), nn.BatchNorm2d(b), nn.ReLU())\n"
        "model = nn.Sequential(Unit(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))\n"
        "criterion = nn.CrossEntropyLoss()\noptimizer = torch.optim.SGD(model.parameters(), 0.1)\nHERE\n" + LOOP,
        "train_loader = torch.utils.data.DataLoader(train_loader.dataset, batch_size=1, shuffle=True)",
        "train_loader = torch.utils.data.DataLoader(train_loader.dataset, batch_size=16, shuffle=True)"),
    "weights of the classes from NumPy": (
        "FW408", "import numpy as np\nimport torch\ncounts = np.array([3, 4], dtype=np.float64)\n"
        "weights = torch.from_numpy(counts.sum() / (2 * counts))\nHERE\n",
        "loss_fn = torch.nn.CrossEntropyLoss(weight=weights)",
        "loss_fn = torch.nn.CrossEntropyLoss(weight=weights.float())"),
    "letters in a part of the data": (
        "FW410", DATA + "import string\nfull = datasets.EMNIST('d', split='letters', train=True)\n"
        "first, second = torch.utils.data.random_split(full, [100_000, 24_800])\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, len(string.ascii_uppercase)))\nmodel.train()\n"
        "loss_fn = nn.CrossEntropyLoss()\nfor x, y in torch.utils.data.DataLoader(first, 64, shuffle=True):\n"
        "    HERE\n", "loss_fn(model(x), y)", "loss_fn(model(x), y - 1)"),
    "a validation part of augmented data": (
        "FW413", DATA + "flip = transforms.Compose([transforms.RandomHorizontalFlip(), to_tensor])\n"
        "full = datasets.CIFAR10('d', train=True, transform=flip)\n"
        "plain = datasets.CIFAR10('d', train=True, transform=to_tensor)\n"
        "first, second = torch.utils.data.random_split(full, [45_000, 5_000])\n"
        "train_loader = torch.utils.data.DataLoader(first, 64, shuffle=True)\nHERE\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\ncriterion = nn.CrossEntropyLoss()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n" + LOOP,
        "valid_loader = torch.utils.data.DataLoader(second, 64)",
        "valid_loader = torch.utils.data.DataLoader(torch.utils.data.Subset(plain, second.indices), 64)"),
    "a scaler fitted to everything after the split": (
        "FW510", "import torch\nfrom sklearn.model_selection import train_test_split\n"
        "from sklearn.preprocessing import StandardScaler\nX_train, X_test = train_test_split(X)\n"
        "scaler = StandardScaler()\nHERE\nx = torch.tensor(scaler.transform(X_train))\n",
        "scaler.fit(X)", "scaler.fit(X_train)"),
    "schedules in a list": (
        "FW304", DATA + "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\ncriterion = nn.CrossEntropyLoss()\n"
        "from torch.optim.lr_scheduler import LinearLR, SequentialLR\nHERE\n" + LOOP + "    both.step()\n",
        "one = LinearLR(optimizer); both = SequentialLR(optimizer, [LinearLR(optimizer)], [3])",
        "one = LinearLR(optimizer); both = SequentialLR(optimizer, [one, LinearLR(optimizer)], [3])"),
    "a schedule as long as the training, in batches": (
        "FW305", DATA + "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\ncriterion = nn.CrossEntropyLoss()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\nsettings = {'epochs': 3}\n"
        "steps = settings['epochs'] * len(train_loader)\n"
        "plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)\n" + LOOP + "    HERE\n",
        "plan.step()", "    plan.step()"),
    "parameters of an averaged copy, in two lists": (
        "FW313", DATA + "import copy\nmodel = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n"
        "average = copy.deepcopy(model)\nsgd = torch.optim.SGD\ndef groups(network):\n"
        "    weights, biases = [], []\n    for parameter in network.parameters():\n"
        "        (weights if parameter.ndim > 1 else biases).append(parameter)\n"
        "    return [{'params': weights}, {'params': biases, 'weight_decay': 0}]\n"
        "HERE\ncriterion = nn.CrossEntropyLoss()\n" + LOOP,
        "optimizer = sgd(groups(average), 0.1)", "optimizer = sgd(groups(model), 0.1)"),
    "labels that a transform leaves as they are": (
        "FW410", DATA + "def to_index(label):\n    return torch.tensor(int(label))\n"
        "letters = datasets.EMNIST('d', 'letters', train=True, transform=to_tensor, target_transform=to_index)\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 26))\nmodel.train()\nloss_fn = nn.CrossEntropyLoss()\n"
        "for x, y in torch.utils.data.DataLoader(letters, 64, shuffle=True):\n    HERE\n",
        "loss_fn(model(x), y)", "loss_fn(model(x), y - 1)"),
    "digits that a transform shifts": (
        "FW410", DATA + "digits = datasets.MNIST('d', True, to_tensor, lambda label: int(label) + 1)\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\nmodel.train()\nloss_fn = nn.CrossEntropyLoss()\n"
        "for x, y in torch.utils.data.DataLoader(digits, 64, shuffle=True):\n    HERE\n",
        "loss_fn(model(x), y)", "loss_fn(model(x), y - 1)"),
    "a bound on gradients in a closure": (
        "FW318", DATA + "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\nmodel.train()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\ncriterion = nn.CrossEntropyLoss()\n"
        "bound = nn.utils.clip_grad_norm_\ndef update(x, y):\n    optimizer.zero_grad()\n"
        "    loss = criterion(model(x), y)\n    HERE\n    optimizer.step()\n"
        "for x, y in train_loader:\n    update(x, y)\n",
        "bound(model.parameters(), 1.0); loss.backward()", "loss.backward(); bound(model.parameters(), 1.0)"),
    "a network traced after its training": (
        "FW319", TRANSFER.replace("HERE", "") + "HERE\n",
        "torch.jit.trace(model, torch.zeros(1, 3, 32, 32)).save('model.pt')",
        "torch.jit.trace(model.eval(), torch.zeros(1, 3, 32, 32)).save('model.pt')"),
    "the class of a batch over its images": (
        "FW511", DATA + "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\nmodel.eval()\nhits = 0\n"
        "def right(outputs, labels, axis=1):\n    return (outputs.argmax(axis) == labels).sum().item()\n"
        "with torch.no_grad():\n    for x, y in test_loader:\n        outputs = model(x)\n        HERE\n",
        "hits += (torch.max(outputs.data, 0)[1] == y).sum().item()",
        "hits += (torch.max(outputs.data, 1)[1] == y).sum().item()"),
    "a shortcut that an in-place layer changes": (
        "FW119", "import torch\nfrom torch import nn\nclass Block(nn.Module):\n    def __init__(self, n):\n"
        "        super().__init__()\n        self.act = nn.ReLU()\n"
        "        self.body = nn.Sequential(nn.SiLU(inplace=True), nn.Conv2d(n, n, 3, padding=1))\n"
        "    def forward(self, x):\n        x = self.act(x)\n        HERE\nmodel = Block(8)\n",
        "return self.body(x) + x", "y = x.clone(); return self.body(x) + y"),
    "a classifier of linear layers alone": (
        "FW120", "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.fc1 = nn.Linear(784, 120)\n        self.act = nn.ReLU()\n"
        "        HERE\n    def forward(self, x):\n"
        "        x = nn.functional.dropout(self.fc1(x.flatten(1)), 0.1, self.training)\n"
        "        return self.fc2(x)\nmodel = Net()\n",
        "self.fc2 = nn.Linear(120, 10)", "self.fc2 = nn.Sequential(nn.ReLU(), nn.Linear(120, 10))"),
    "two convolutions in a row": (
        "FW120", "import torch\nfrom torch import nn\nlayers = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)]\nHERE\n"
        "model = nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 24 * 24, 10))\n"
        "model(torch.zeros(1, 1, 28, 28))\n",
        "layers += [nn.Conv2d(8, 8, 3, bias=False)]", "layers += [nn.ReLU(), nn.Conv2d(8, 8, 3, bias=False)]"),
    "a rate that keeps one unit in ten": (
        "FW605", NETWORK, "x = fn.dropout(x, p=0.9, training=self.training)",
        "x = fn.dropout(x, p=0.1, training=self.training)"),
    "a backbone that is not frozen": (
        "FW320", TRANSFER, "model.requires_grad = False", "model.requires_grad_(True)"),
    "one normalisation for two convolutions": (
        "FW115", "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.one = nn.Conv2d(3, 8, 3, bias=False)\n"
        "        self.two = nn.Conv2d(8, 8, 3, bias=False)\n        HERE\n        self.last = nn.Linear(8, 10)\n"
        "    def forward(self, x):\n        x = self.norm(self.one(x)).relu()\n"
        "        x = self.other(self.two(x)).relu() if hasattr(self, 'other') else self.norm(self.two(x)).relu()\n"
        "        return self.last(x.mean((2, 3)))\nmodel = Net()\n",
        "self.norm = nn.BatchNorm2d(8)", "self.norm, self.other = nn.GroupNorm(2, 8), nn.GroupNorm(2, 8)"),
    "all classes of EMNIST": (
        "FW113", DATA + "letters = datasets.EMNIST('d', split='byclass', train=True, transform=to_tensor)\n"
        "HERE\nloss_fn = nn.CrossEntropyLoss()\nmodel.train()\n"
        "for x, y in torch.utils.data.DataLoader(letters, 64, shuffle=True):\n    loss_fn(model(x), y)\n",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 47))",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 62))"),
    "a confusion matrix on its side": (
        "FW206", "import torch\nfrom sklearn.metrics import confusion_matrix\n"
        "preds, truth = load('preds.npy'), load('truth.npy')\nHERE\n",
        "print(confusion_matrix(preds, truth))", "print(confusion_matrix(truth, preds))"),
    "a meter that counts full batches": (
        "FW507", DATA + "class Mean:\n    def __init__(self):\n        self.total = self.count = 0\n"
        "    def update(self, value, n):\n        self.total += value * n\n        self.count += n\n"
        "batch_size = 64\nmodel = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\nmodel.eval()\nlosses = Mean()\n"
        "loss_fn = nn.CrossEntropyLoss()\nwith torch.no_grad():\n    for x, y in test_loader:\n        HERE\n",
        "losses.update(loss_fn(model(x), y).item(), batch_size)",
        "losses.update(loss_fn(model(x), y).item(), x.size(0))"),
    "training data joined with the test data": (
        "FW407", DATA + "parts = [train_loader.dataset]\nHERE\n"
        "train_loader = torch.utils.data.DataLoader(joined, 64, shuffle=True)\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\ncriterion = nn.CrossEntropyLoss()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n" + LOOP,
        "joined = torch.utils.data.ConcatDataset([*parts, datasets.CIFAR10('d', train=False, transform=to_tensor)])",
        "joined = torch.utils.data.ConcatDataset([*parts, datasets.CIFAR10('e', train=True, transform=to_tensor)])"),
    "a mean over batches of test data": (
        "FW507", DATA + "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\nmodel.eval()\nlosses = 0.0\n"
        "loss_fn = nn.CrossEntropyLoss()\nwith torch.no_grad():\n    for x, y in test_loader:\n"
        "        losses += loss_fn(model(x), y).item()\nHERE\n",
        "print(losses / len(test_loader))", "print(losses)"),
    "a picture prepared with other numbers": (
        "FW403", DATA + "from PIL import Image\nmean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]\n"
        "prepared = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])\n"
        "train_loader = torch.utils.data.DataLoader(datasets.CIFAR10('d', True, prepared), 64, shuffle=True)\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\ncriterion = nn.CrossEntropyLoss()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n" + LOOP +
        "def predict(path):\n    model.eval()\n    resize = transforms.Resize((32, 32))\n    HERE\n"
        "    steps = transforms.Compose([resize, transforms.ToTensor(), scale])\n"
        "    with torch.no_grad():\n        return model(steps(Image.open(path))[None]).argmax(1)\n"
        "predict('cat.png')\n",
        "scale = transforms.Normalize([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])", "scale = transforms.Normalize(mean, std)"),
    "the best of a class that keeps results": (
        "FW501", DATA + "class Best:\n    def __init__(self):\n        self.value = 0.0\n"
        "    def add(self, measured):\n        HERE\nbest = Best()\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\ncriterion = nn.CrossEntropyLoss()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n" + LOOP +
        "    model.eval()\n    hits = 0\n    with torch.no_grad():\n        for x, y in test_loader:\n"
        "            hits += (model(x).argmax(1) == y).sum().item()\n"
        "    best.add(hits / len(test_loader.dataset))\n    model.train()\n",
        "self.value = max(self.value, measured)", "self.value = measured"),
    "an engine that runs over sorted images": (
        "FW405", DATA + "from ignite.engine import create_supervised_trainer\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
        "trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())\nHERE\n"
        "trainer.run(train_loader, max_epochs=3)\n",
        "train_loader = torch.utils.data.DataLoader(train_loader.dataset, 64)",
        "train_loader = torch.utils.data.DataLoader(train_loader.dataset, 64, shuffle=True)"),
    "a number of parameters beside its layer": (
        "FW122", "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.conv1 = nn.Conv2d(1, 6, 5)  # 156\n"
        "        self.conv2 = nn.Conv2d(6, 16, 5)  # 2,416\n        self.fc1 = nn.Linear(256, 120)  # 30840\n"
        "        HERE\n        self.fc3 = nn.Linear(84, 10)  # 850\n    def forward(self, x):\n"
        "        x = torch.max_pool2d(self.conv1(x).relu(), 2)\n"
        "        x = torch.max_pool2d(self.conv2(x).relu(), 2).flatten(1)\n"
        "        return self.fc3(self.fc2(self.fc1(x).relu()).relu())\nmodel = Net()\n",
        "self.fc2 = nn.Linear(120, 84)  # 10080", "self.fc2 = nn.Linear(120, 84)  # 10164"),
    "a receptive field beside its layer": (
        "FW121", "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        # receptive fields\n        self.body = nn.Sequential(\n"
        "            nn.Conv2d(1, 6, 3), nn.ReLU(),  # 3\n            nn.Conv2d(6, 6, 3), nn.ReLU(),  # 5\n"
        "            nn.MaxPool2d(2),  # 6\n            nn.Conv2d(6, 6, 3), nn.ReLU(),  # 10\n            HERE\n"
        "            nn.Conv2d(6, 10, 3))  # 18\n    def forward(self, x):\n"
        "        return self.body(x).mean((2, 3))\nmodel = Net()\n",
        "nn.Conv2d(6, 6, 3), nn.ReLU(),  # 12", "nn.Conv2d(6, 6, 3), nn.ReLU(),  # 14"),
    "rare classes repeated before the folds": (
        "FW416", "import torch\nfrom imblearn.over_sampling import RandomOverSampler\n"
        "from sklearn.model_selection import StratifiedKFold\nimages, labels = load('faces.npz')\nHERE\n"
        "for train, valid in StratifiedKFold(5).split(images, labels):\n    fit(images[train], labels[train])\n",
        "images, labels = RandomOverSampler().fit_resample(images, labels)", "images, labels = images.copy(), labels"),
    "a sample of the frequent class": (
        "FW416", "import torch\nfrom sklearn.model_selection import train_test_split\n"
        "from sklearn.utils import resample\nx = load('digits.npz')\nHERE\na, b = train_test_split(x)\n",
        "x = resample(x, n_samples=900)", "x = resample(x, n_samples=900, replace=False)"),
    "features beside their squares": (
        "FW416", "import numpy as np\nimport torch\nfrom sklearn.model_selection import train_test_split\n"
        "x, y = load('digits.npz')\nHERE\na, b, c, d = train_test_split(x, y)\n",
        "x = np.concatenate([x, x ** 2])", "x = np.concatenate([x, x ** 2], axis=1)"),
    "names of classes beside the network": (
        "FW113", "import torch\nfrom torch import nn\nclass_names = ['ant', 'bee', 'wasp']\nHERE\n"
        "print(class_names[model(torch.zeros(1, 1, 28, 28)).argmax(1)])\n",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 4))",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))"),
    "names of classes in a docstring": (
        "FW113", '"""Insects.\n\nClasses: ant, bee, wasp\n"""\nimport torch\nfrom torch import nn\nHERE\n'
        "print(model(torch.zeros(1, 1, 28, 28)).argmax(1))\n",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 4))",
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))"),
    "pixels of a table": (
        "FW408", DATA + "import pandas as pd\npixels = pd.read_csv('train.csv').drop(columns='label').values / 255\n"
        "HERE\nmodel = nn.Sequential(nn.Linear(784, 10))\nmodel.eval()\nwith torch.no_grad():\n    model(x)\n",
        "x = torch.from_numpy(pixels)", "x = torch.from_numpy(pixels.astype('float32'))"),
    "images drawn by the weights of classes": (
        "FW417", "from collections import Counter\nimport torch\n"
        "from torch.utils.data import WeightedRandomSampler as Sampler\ndef balanced(labels):\n"
        "    freq = Counter(labels)\n    weights = torch.tensor([1.0 / freq[c] for c in range(len(freq))])\n"
        "    HERE\nbalanced(load('labels.npy'))\n",
        "return Sampler(weights, num_samples=len(labels))",
        "return Sampler(weights[torch.tensor(labels)], num_samples=len(labels))"),
    "rare rows drawn again before the split": (
        "FW416", "import pandas as pd\nimport torch\nfrom sklearn.model_selection import train_test_split\n"
        "frame = pd.read_csv('labels.csv')\nparts = [frame]\nfor _, group in frame.groupby('label'):\n"
        "    HERE\n    parts.append(more)\ntrain, test = train_test_split(pd.concat(parts))\n",
        "more = group.sample(100, replace=True)", "more = group.sample(100)"),
    "a number of parameters in a docstring": (
        "FW122", "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    HERE\n    def __init__(self):\n"
        "        super().__init__()\n        self.conv = nn.Conv2d(1, 8, 3)\n        self.norm = nn.BatchNorm2d(8)\n"
        "        self.last = nn.Linear(8, 10)\n    def forward(self, x):\n"
        "        return self.last(self.norm(self.conv(x)).relu().mean((2, 3)))\nmodel = Net()\n",
        '"A network with 1,860 parameters."', '"A network with 186 parameters."'),
    "a misspelt property": (
        "FW320", DATA + "model = models.resnet18()\nfor p in model.parameters():\n    HERE\n"
        "model.fc = nn.Linear(512, 10)\n",
        "p.require_grad = False", "p.requires_grad = False"),
    "an average of torch without its statistics": (
        "FW321", TRANSFER.replace("HERE", "").replace("criterion =", "HERE\ncriterion =") +
        "    average.update_parameters(model)\nmore = {}\naverage.eval()\nfor x, y in test_loader:\n"
        "    with torch.no_grad():\n        average(x)\n",
        "average = torch.optim.swa_utils.AveragedModel(model)",
        "average = torch.optim.swa_utils.AveragedModel(model, use_buffers=True)"),
    "an error between columns and rows": (
        "FW513", DATA + "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 1))\nmodel.train()\n"
        "loss_fn = nn.MSELoss()\nfor x, y in train_loader:\n    HERE\n",
        "loss = loss_fn(model(x), y.float())", "loss = loss_fn(model(x).squeeze(1), y.float())"),
    "a generator seeded in each epoch": (
        "FW610", DATA + "order = torch.Generator()\nloader = torch.utils.data.DataLoader(train_loader.dataset, 64, "
        "shuffle=True, generator=order)\nmodel = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\nloss_fn = nn.CrossEntropyLoss()\n"
        "for epoch in range(3):\n    HERE\n    for x, y in loader:\n        optimizer.zero_grad()\n"
        "        loss_fn(model(x), y).backward()\n        optimizer.step()\n",
        "order.manual_seed(7)", "order.manual_seed(7 + epoch)"),
    "half precision by a name": (
        "FW323", DATA + "half = torch.bfloat16\nkind = torch.float16\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\nloss_fn = nn.CrossEntropyLoss()\n"
        "for x, y in train_loader:\n    optimizer.zero_grad()\n    HERE\n        loss = loss_fn(model(x), y)\n"
        "    loss.backward()\n    optimizer.step()\n",
        "with torch.autocast('cuda', dtype=kind):", "with torch.autocast('cuda', dtype=half):"),
    "frames of a camera": (
        "FW414", "import cv2\nimport torch\nmean, std = torch.tensor([0.485, 0.456, 0.406]), 0.22\nmodel = load()\n"
        "model.eval()\ncamera = None\nHERE\nframe = camera.read()[1]\nwith torch.no_grad():\n"
        "    model(((torch.from_numpy(frame) / 255 - mean) / std).permute(2, 0, 1)[None])\n",
        "camera = cv2.VideoCapture(0)", "camera = cv2.VideoCapture(0); turn = cv2.cvtColor"),
    "layers that an initialisation does not reach": (
        "FW125", "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.body = nn.Conv2d(1, 8, 28)\n        HERE\n"
        "        self.start()\n    def start(self):\n        for part in self.modules():\n"
        "            if isinstance(part, nn.Linear):\n                nn.init.zeros_(part.bias)\n"
        "    def forward(self, x):\n        return self.head(self.body(x).relu().flatten(1))\nmodel = Net()\n",
        "self.start(); self.head = nn.Linear(8, 10)", "self.head = nn.Linear(8, 10)"),
    "the last images of a folder": (
        "FW419", DATA + "from torch.utils.data import Subset\nleaves = datasets.ImageFolder('leaves', to_tensor)\n"
        "order = list(range(len(leaves)))\nHERE\n",
        "train, valid = Subset(leaves, order[:-500]), Subset(leaves, order[-500:])",
        "few = Subset(leaves, range(100))"),
    "a gate that forward leaves out": (
        "FW109", DATA + "class Gate(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(8, 8)\n    def forward(self, x):\n        return x * torch.sigmoid(self.fc(x))\n"
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        HERE\n"
        "        self.last = nn.Linear(8, 10)\n    def forward(self, x):\n        return self.last(x)\nmodel = Net()\n",
        "self.gate = Gate()", "pass"),
    "pixels less a mean of NumPy": (
        "FW408", DATA + "import numpy as np\nMEAN = np.array([0.5, 0.4, 0.5]).reshape(3, 1, 1)\nHERE\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\nmodel.eval()\nwith torch.no_grad():\n"
        "    model(picture)\n", "picture = torch.from_numpy((pixels - MEAN) / 0.3)",
        "picture = torch.from_numpy(((pixels - MEAN) / 0.3).astype(np.float32))"),
    "outputs of a network of timm": (
        "FW113", DATA + "import timm\nHERE\nmodel.train()\nloss_fn = nn.CrossEntropyLoss()\n"
        "for x, y in train_loader:\n    loss_fn(model(x), y)\n",
        "model = timm.create_model('resnet34', pretrained=True)",
        "options = dict(); options.update(num_classes=10); model = timm.create_model('resnet34', **options)"),
    "a ResNet for images of 224 pixels": (
        "FW708", DATA + "HERE\ncriterion = nn.CrossEntropyLoss()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n" + LOOP,
        "model = models.resnet18(num_classes=10)",
        "model = models.resnet18(num_classes=10); model.maxpool = nn.Identity()"),
    **{name: (code, DATA + "HERE\ncriterion = nn.CrossEntropyLoss()\n"
              "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n" + LOOP,
              f"model = nn.Sequential({wrong})", f"model = nn.Sequential({right})")
       for name, (code, wrong, right) in {
           "a pooling of the image itself": (
               "FW708", "nn.MaxPool2d(2), nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)",
               "nn.Conv2d(3, 8, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)"),
           "an average over units that see five pixels": (
               "FW706", "nn.Conv2d(3, 8, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)",
               "nn.Conv2d(3, 8, 23), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)"),
           "a linear layer on all pixels of all channels": (
               "FW709", "nn.Conv2d(3, 8, 5), nn.Flatten(), nn.Linear(8 * 28 * 28, 10)",
               "nn.Conv2d(3, 64, 23), nn.AvgPool2d(10), nn.Flatten(), nn.Linear(64, 10)")}.items()},
}


def findings(text: str, line: str):
    filled = text.replace("HERE", line)
    return filled.split("\n"), examine_source(from_text(Path("example.py"), filled))[0]


@pytest.mark.parametrize("name", PAIRS)
def test_the_wrong_line_is_found(name):
    code, text, wrong, _ = PAIRS[name]
    lines, found = findings(text, wrong)
    places = [lines[one.place.line - 1].strip() for one in found if one.code == code]
    assert places == [wrong], found
    assert {one.code for one in found if one.severity == "error"} <= {code}


@pytest.mark.parametrize("name", PAIRS)
def test_the_right_line_is_left_alone(name):
    code, text, _, right = PAIRS[name]
    _, found = findings(text, right)
    assert [one for one in found if one.code == code or one.severity == "error"] == []


def test_labels_that_the_data_set_shifts_are_left_alone():
    text = DATA + (
        "letters = datasets.EMNIST('d', 'letters', train=True, target_transform=lambda label: label - 1)\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(784, 26))\nmodel.train()\nloss_fn = nn.CrossEntropyLoss()\n"
        "for x, y in torch.utils.data.DataLoader(letters, 64, shuffle=True):\n    loss_fn(model(x), y)\n")
    assert "FW410" not in {one.code for one in findings(text, "")[1]}
    shifted = text.replace(", target_transform=lambda label: label - 1", "")
    assert "FW410" in {one.code for one in findings(shifted, "")[1]}


GATE = DATA + """
class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
    def forward(self, x):
        return x * torch.sigmoid(self.fc(x.mean(dim=(2, 3))))[:, :, None, None]
"""


@pytest.mark.parametrize("body", [
    "nn.Conv2d(3, 8, 5), Gate(), nn.Conv2d(8, 8, 23), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)",
    "*[nn.Conv2d(8 if i else 3, 8, 9) for i in range(n)], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)",
    "nn.Conv2d(3, 8, 5), *stages(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)",
])
def test_an_average_in_a_gate_or_behind_an_unknown_number_of_layers_is_left_alone(body):
    text = GATE + f"model = nn.Sequential({body})\ncriterion = nn.CrossEntropyLoss()\n" + (
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n") + LOOP
    assert "FW706" not in {one.code for one in findings(text, "")[1]}


def test_layers_under_a_condition_that_is_not_known_are_left_alone():
    text = DATA + (
        "def head(widths):\n    layers = []\n    for i in range(len(widths) - 1):\n"
        "        layers.append(nn.Linear(widths[i], widths[i + 1]))\n        if i < len(widths) - 2:\n"
        "            layers.append(nn.ReLU())\n            layers.append(nn.Dropout(0.2))\n"
        "    return nn.Sequential(*layers)\nmodel = nn.Sequential(nn.Flatten(), head([3072, 64, 10]))\n"
        "criterion = nn.CrossEntropyLoss()\noptimizer = torch.optim.SGD(model.parameters(), 0.1)\n") + LOOP
    assert {one.code for one in findings(text, "")[1]} & {"FW101", "FW102", "FW113"} == set()
    outside = text.replace("            layers.append(nn.Dropout", "        layers.append(nn.Dropout")
    assert "FW102" in {one.code for one in findings(outside, "")[1]}


def test_batches_of_an_unknown_loader_are_left_alone():
    text = DATA + (
        "model = nn.Sequential(nn.Conv2d(3, 8, 5), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 784, 10))\n"
        "criterion = nn.CrossEntropyLoss()\noptimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
        "train_loader = repeated(train_loader)\n") + LOOP
    assert "FW116" not in {one.code for one in findings(text, "")[1]}


def test_labels_that_are_counted_anew_may_have_other_classes():
    text = DATA + ("def is_cat(label):\n    return int(label == 3)\n"
                   "cats = datasets.CIFAR10('d', True, to_tensor, is_cat)\n"
                   "model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 2))\nmodel.train()\n"
                   "loss_fn = nn.CrossEntropyLoss()\n"
                   "for x, y in torch.utils.data.DataLoader(cats, 64, shuffle=True):\n    loss_fn(model(x), y)\n")
    assert not [one for one in findings(text, "")[1] if one.code == "FW113"]


def test_a_place_in_a_notebook_is_told_by_its_cell():
    cells = [(1, line) for line in range(1, 12)] + [(2, line) for line in range(1, 30)]
    text = TRANSFER.replace("HERE", "model.eval()").replace("model.train()\n", "")
    found = examine_source(from_text(Path("example.ipynb"), text, cells))[0]
    why = next(one.why for one in found if one.code == "FW310")
    assert "line 1 of cell 2" in why or "line 11 of cell 1" in why, why


def test_a_mean_over_equal_batches_of_test_data_is_left_alone():
    _, text, wrong, _ = PAIRS["a mean over batches of test data"]
    equal = text.replace("transform=to_tensor), 64)", "transform=to_tensor), 100)")
    assert equal != text and "FW507" not in {one.code for one in findings(equal, wrong)[1]}


def test_a_frozen_network_may_be_kept_in_evaluation_mode():
    text = TRANSFER.replace("HERE", "for p in model.parameters():\n    p.requires_grad = False\n"
                            "model.fc = nn.Linear(512, 10)").replace("model.train()", "model.eval()")
    assert "FW310" not in {one.code for one in findings(text, "")[1]}


def test_two_folders_may_be_split_each_by_itself():
    text = DATA + ("from torch.utils.data import random_split\nsizes = [800, 200]\n"
                   "one = datasets.ImageFolder('one', to_tensor)\ntwo = datasets.ImageFolder(HERE, to_tensor)\n"
                   "train, _ = random_split(one, sizes)\n_, valid = random_split(two, sizes)\n")
    assert "FW415" in {one.code for one in findings(text, "'one'")[1]}
    assert "FW415" not in {one.code for one in findings(text, "'two'")[1]}


MANAGERS = {
    "a function": """
from contextlib import contextmanager
@contextmanager
def evaluating(model):
    before = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train(before)
""",
    "a class": """
class evaluating:
    def __init__(self, model):
        self.model = model
    def __enter__(self):
        self.before = self.model.training
        self.model.eval()
        return self.model
    def __exit__(self, *error):
        self.model.train(self.before)
""",
}


@pytest.mark.parametrize("kind", MANAGERS)
def test_a_context_manager_restores_the_mode(kind):
    text = DATA + MANAGERS[kind] + (
        "model = nn.Sequential(nn.Conv2d(3, 8, 5), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 784, 10))\n"
        "criterion = nn.CrossEntropyLoss()\noptimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
    ) + LOOP.replace("model.train()\n", "") + (
        "    with evaluating(model) as judged:\n        for x, y in test_loader:\n            judged(x).argmax(1)\n")
    assert "FW310" not in {one.code for one in findings(text, "")[1]}
    forgotten = text.replace("train(before)", "eval()").replace("train(self.before)", "eval()")
    assert "FW310" in {one.code for one in findings(forgotten, "")[1]}


def test_parameters_of_a_layer_that_the_file_derives_are_not_counted():
    text = DATA + """
class Norm(nn.BatchNorm2d):
    def __init__(self, channels):
        super().__init__(channels)
        del self.weight
class Net(nn.Module):
    '''HERE parameters.'''
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), NORM(8), nn.Flatten(), nn.Linear(7200, 10))
    def forward(self, x):
        return self.body(x)
model = Net()
"""
    assert not findings(text.replace("NORM", "Norm"), "72,234")[1]
    assert "FW122" in {one.code for one in findings(text.replace("NORM", "nn.BatchNorm2d"), "72,234")[1]}
