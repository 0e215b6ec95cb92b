"""A script without a mistake, in which one change at a time makes a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from featherweight.doctor.examination import examine_source
from featherweight.doctor.source import from_text

SCRIPT = '''
import random
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, random_split
from torchvision import datasets, transforms

torch.manual_seed(0)
normal = transforms.Normalize((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
train_tf = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.ToTensor(), normal])
test_tf = transforms.Compose([transforms.ToTensor(), normal])
sizes = [45000, 5000]
augmented = datasets.CIFAR10("data", train=True, transform=train_tf)
plain = datasets.CIFAR10("data", train=True, transform=test_tf)
train_set, _ = random_split(augmented, sizes, generator=torch.Generator().manual_seed(0))
_, val_set = random_split(plain, sizes, generator=torch.Generator().manual_seed(0))
test_set = datasets.CIFAR10("data", train=False, transform=test_tf)
train_loader = DataLoader(train_set, batch_size=128, shuffle=True)
val_loader = DataLoader(val_set, batch_size=256)
test_loader = DataLoader(test_set, batch_size=256)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(32)
        self.c2 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(64)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(64 * 16 * 16, 10)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = F.relu(self.b2(self.c2(x)))
        x = F.max_pool2d(x, 2)
        return self.fc(self.drop(x.flatten(1)))


model = Net()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)


def train_epoch():
    model.train()
    total, correct, count = 0.0, 0, 0
    for images, labels in train_loader:
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * labels.size(0)
        correct += (outputs.argmax(1) == labels).sum().item()
        count += labels.size(0)
    return total / count, correct / count


@torch.no_grad()
def evaluate(loader):
    model.eval()
    correct = count = 0
    for images, labels in loader:
        correct += (model(images).argmax(1) == labels).sum().item()
        count += labels.size(0)
    return correct / count


best = 0.0
for epoch in range(30):
    loss, acc = train_epoch()
    scheduler.step()
    val = evaluate(val_loader)
    print(epoch, loss, acc, val)
    if val > best:
        best = val
        torch.save(model.state_dict(), "best.pt")
model.load_state_dict(torch.load("best.pt", weights_only=True))
print("test", evaluate(test_loader))
'''
SGD = "torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)"
COSINE = "torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)"
CHANGES = {     # the mistake: its code, and what is replaced by what
    "a step after the loop over batches": ("FW302", ("        optimizer.step()\n", ""),
                                           ("    return total /", "    optimizer.step()\n    return total /")),
    "gradients cleared after backward": ("FW302",
        ("        optimizer.zero_grad()\n", ""),
        ("        loss.backward()", "        loss.backward()\n        optimizer.zero_grad()")),
    "a cosine stepped for each batch": ("FW305",
        ("        optimizer.step()", "        optimizer.step()\n        scheduler.step()"),
        ("    scheduler.step()\n    val", "    val")),
    "a cosine for ten times the epochs": ("FW327", ("T_max=30", "T_max=300")),
    "a cosine for a tenth of the epochs": ("FW327", ("T_max=30", "T_max=3")),
    "a rate that vanishes": ("FW327", (COSINE, "torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.1)")),
    "a rate that grows": ("FW327", (COSINE, "torch.optim.lr_scheduler.StepLR(optimizer, step_size=9, gamma=10)")),
    "an optimizer in each epoch": ("FW328", ("    loss, acc", f"    optimizer = {SGD}\n    loss, acc")),
    "the negative of the loss": ("FW329", ("loss = criterion", "loss = -criterion")),
    "a strong weight decay": ("FW604", ("weight_decay=5e-4", "weight_decay=0.5")),
    "weights in float16": ("FW323", ("model = Net()", "model = Net().half()")),
    "the momentum of Keras": ("FW127", ("BatchNorm2d(64)", "BatchNorm2d(64, momentum=0.99)")),
    "parameters of 0": ("FW128", (
        "model = Net()", "model = Net()\nfor p in model.parameters():\n    nn.init.zeros_(p)")),
    "a pooling without effect": ("FW129", ("x = F.max_pool2d(x, 2)", "F.max_pool2d(x, 2)")),
    "images divided again": ("FW422", ("        outputs = model(images)", "        outputs = model(images / 255)")),
    "a mean of bytes": ("FW422", (
        "(0.49, 0.48, 0.45), (0.25, 0.24, 0.26)", "(125.0, 123.0, 114.0), (63.0, 62.0, 67.0)")),
    "validation and test without Normalize": ("FW402", (
        "transforms.Compose([transforms.ToTensor(), normal])", "transforms.ToTensor()")),
    "a best that is never passed": ("FW515", ("if val > best", "if val < best")),
    "a best that never changes": ("FW515", ("        best = val\n", "")),
    "a best of another measure": ("FW515", ("        best = val\n", "        best = acc\n")),
    "the best on training images": ("FW516", (
        "if val > best:\n        best = val", "if acc > best:\n        best = acc")),
    "the best on test images": ("FW501", ("evaluate(val_loader)", "evaluate(test_loader)")),
    "a return inside the loop": ("FW517", (
        "    return correct / count\n\n\nbest", "        return correct / count\n\n\nbest")),
    "a break inside the loop": ("FW517", ("        optimizer.step()\n", "        optimizer.step()\n        break\n")),
    "a sum that begins anew": ("FW518", ("in loader:\n", "in loader:\n        correct = 0\n")),
    "a column against a row": ("FW519", (
        "        correct += (model(images).argmax(1) ==",
        "        found = model(images).argmax(1, keepdim=True)\n        correct += (found ==")),
    "a loss with its graph": ("FW311", ("loss.item() * labels", "loss * labels")),
    "a mean added as a count": ("FW506", (
        "(model(images).argmax(1) == labels).sum()", "(model(images).argmax(1) == labels).float().mean()")),
    "no eval": ("FW308", ("    model.eval()\n", "")),
    "no train": ("FW310", ("    model.train()\n", "")),
    "test images of the training": ("FW407", ("train=False", "train=True")),
    "softmax before the loss": ("FW201", ("return self.fc(self.drop(x.flatten(1)))",
                                          "return self.fc(self.drop(x.flatten(1))).softmax(1)")),
}


def codes(text: str) -> set[str]:
    found, trace = examine_source(from_text(Path("example.py"), text))
    assert trace is not None and not trace.missing
    return {one.code for one in found if one.severity != "note"}


def test_the_script_has_no_mistake():
    assert codes(SCRIPT) == set()


@pytest.mark.parametrize("mistake", CHANGES)
def test_one_change_is_found(mistake):
    code, *changes = CHANGES[mistake]
    text = SCRIPT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    assert code in codes(text)
