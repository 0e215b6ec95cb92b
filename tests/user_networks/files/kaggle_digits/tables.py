import torch.nn as nn

try:
    from apex import amp
except ImportError:
    print("no apex, full precision")

layout = []
for width in (4, 8):
    layout.append((width, 3))
layout.append("M")
settings = {"classes": 2}
settings["classes"] = 10
settings.update(activation="relu")


def init_weights(m):
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(m.weight)
        m.bias.data.fill_(0.01)


class VGGish(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = self._make_layers(layout)
        self.classifier = nn.Linear(8 * 12 * 12, settings["classes"])
        self.apply(init_weights)

    def _make_layers(self, cfg):
        layers, c = [], 1
        for x in cfg:
            if x == "M":
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [nn.Conv2d(c, x[0], x[1]), nn.ReLU(inplace=True)]
                c = x[0]
        return nn.Sequential(*layers)

    def forward(self, x):
        out = self.features(x)
        out = out.view(out.size(0), -1)
        return self.classifier(out)
