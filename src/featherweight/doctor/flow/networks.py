"""Calls of networks and layers: forward is followed, layers change the tensor."""

from __future__ import annotations

from dataclasses import replace

from featherweight.doctor.flow.building import CONTAINERS
from featherweight.doctor.flow.functions import Functions
from featherweight.doctor.flow.layers import applied, events_of, is_operation, key_of
from featherweight.doctor.flow.losses import applied_loss, united
from featherweight.doctor.flow.roles import side_of_images, words_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import (
    INPUT,
    LOGITS,
    OUTPUT,
    WEIGHTED,
    Criterion,
    Dataset,
    Function,
    Geometry,
    Items,
    Module,
    Op,
    Tensor,
    Unknown,
    Value,
    constant,
    known,
)

HEADS = ("fc", "classifier", "head", "heads")      # last layers of the networks of torchvision
IMAGENET = 1000         # their outputs
RECURRENT = ("lstm", "gru", "rnn", "lstmcell", "multiheadattention")


class Networks(Functions):
    """Applies networks. Subclasses follow all other calls."""

    def apply_module(self, module: Module, call: Call) -> Value:
        """Return the output of a network or layer, and record the event "forward"."""
        tensors = [as_tensor(value) for value in call.everything()]
        tensor = next((one for one in tensors if one is not None), Tensor(meaning=INPUT))
        top = self.trace.nested == 0
        if module.cls is not None and module.label == "loss" and top:
            return applied_loss(Criterion(name=module.cls.definition.name, spot=module.spot), call)
        if module.cls is None and not module.name and len(call.arguments) > 1 and is_loss_name(module.label):
            return applied_loss(Criterion(label=module.label, spot=module.spot), call)
        if top:
            self.trace.add("forward", call.spot, module, tensor)
            pixels = side_of_images(tensor)
            tensor = tensor.but(meaning=INPUT, trail=(), geometry=Geometry(size=pixels, image=pixels))
        self.trace.nested += 1
        try:
            output = self.output_of(module, tensor, call)
        finally:
            self.trace.nested -= 1
        return self.at_the_end(output, module, tensors, call) if top else output

    def output_of(  # noqa: PLR0911  one return for each kind of layer
        self, module: Module, tensor: Tensor, call: Call
    ) -> Value:
        """Return the output of a module inside a network."""
        if module.cls is not None:
            return self.forward(module, tensor, call)
        if module.name.rpartition(".")[2] == "Sequential" or (module.children and not module.name):
            return self.in_turn(module, tensor, call)
        if is_operation(module.name):
            self.trace.add("layer", call.spot, module, tensor)
            after = applied(module.name, tensor, module.arguments, call.spot, module.spot)
            self.trace.add("after", call.spot, module, after)
            for kind in events_of(key_of(module.name), tensor, after, module.arguments):
                self.trace.add(kind, call.spot, module, tensor)
            return after
        if is_classifier(module.name):
            return self.of_classifier(module, tensor, call)
        if key_of(module.name) in RECURRENT:
            return Items(items=[tensor.but(meaning="", trail=(), geometry=None), Unknown()])
        if key_of(module.name) == "embedding":
            return tensor.but(meaning="", trail=(), geometry=None)
        twin = self.only_network() if not module.name and not module.children else None
        if twin is not None and twin.output is not None and self.trace.nested == 1:
            return twin.output.but(geometry=None)
        known_layer = module.name.startswith("torch.nn.") and module.name.rpartition(".")[2] not in CONTAINERS
        return tensor.but(meaning="" if known_layer else OUTPUT, trail=(), geometry=None, axes=None)

    def in_turn(self, module: Module, tensor: Tensor, call: Call) -> Tensor:
        """Return the output of the children of a Sequential. Some of them may not be there."""
        output = tensor
        for child in map(known, module.children):
            step = Call("", call.spot, [output], {}, self.trace)
            found = self.apply_module(child, step) if isinstance(child, Module) else Tensor()
            after = first_tensor(found) or Tensor()
            if isinstance(child, Module) and child.unsure:
                *before, last = after.trail or (None,)
                one_more = last is not None and tuple(before) == output.trail and after.meaning == output.meaning
                after = after.but(trail=(*output.trail, replace(last, unsure=True))) if one_more and last else (
                    after.but(maybe=True))
            output = after
        return output

    def of_classifier(self, module: Module, tensor: Tensor, call: Call) -> Value:
        """Return the output of a network of torchvision: that of the last layers that the file gave it, or its own."""
        features = tensor.but(meaning=OUTPUT, trail=(), geometry=None, axes=2)
        head = head_of(module)
        if head is not None:
            return self.apply_module(head, Call("", call.spot, [features], {}, self.trace))
        if any(name in module.attributes for name in HEADS):        # changed in a way that is not followed
            return features.but(axes=None)
        outputs = constant(module.arguments["num_classes"]) if "num_classes" in module.arguments else IMAGENET
        stated = isinstance(outputs, int)
        last = Op(WEIGHTED, module.name.rpartition(".")[2], call.spot, module.spot if stated else None,
                  outputs if stated else None)
        return features.but(meaning=LOGITS, trail=(last,))

    def only_network(self) -> Module | None:
        """Return the only network of the file that no other network contains, or None if there are several."""
        found = [one for one in self.instances.values() if isinstance(one, Module) and one.label != "loss"
                 and one.cls is not None and one.cls.method("forward") is not None]
        inner = {id(part) for one in found for part in one.parts() if part is not one}
        inner_classes = {id(part.cls) for one in found for part in one.parts() if part is not one}
        roots = [one for one in found if id(one) not in inner and id(one.cls) not in inner_classes]
        return roots[0] if len(roots) == 1 else None

    def forward(self, module: Module, tensor: Tensor, call: Call) -> Value:
        """Follow the forward method of a network of the file. A second call reuses the first result."""
        assert module.cls is not None
        method = module.cls.method("forward")
        if method is None:
            if module.children:
                return self.output_of(Module(children=module.children), tensor, call)
            return tensor.but(meaning=OUTPUT, trail=(), geometry=None)
        if module.output is not None:
            return module.output.but(geometry=None, origin=tensor.origin)
        arguments = [tensor if as_tensor(value) is not None and index == 0 else value
                     for index, value in enumerate(call.arguments)] or [tensor]
        function = Function(definition=method, scope=module.cls.scope, owner=module)
        before = self.entered.get(id(method), 0)
        self.entered[id(method)] = 0
        output = known(self.inline(function, arguments, call.keywords))
        self.entered[id(method)] = max(1, before)
        if isinstance(output, Tensor):
            module.output = output
            self.trace.add("returned", call.spot, module, output)
        return output

    def at_the_end(self, output: Value, module: Module, tensors: list[Tensor | None], call: Call) -> Value:
        """Return a network's output with its network, its data and its place in autograd's graph."""
        inputs = [one for one in tensors if one is not None]
        origin = united(*(one.origin for one in inputs))
        models = united((module,), *(one.models for one in inputs if one.attached))
        grad = self.trace.grad[-1]

        def dressed(value: Value) -> Value:
            value = known(value)
            if isinstance(value, Tensor):
                return value.but(models=models, origin=united(origin, value.origin), attached=grad, spot=call.spot,
                                 label="")
            if isinstance(value, Items):
                return Items(items=[dressed(item) for item in value.items], open=value.open)
            return Tensor(meaning="", models=models, origin=origin, attached=grad, spot=call.spot)

        result = dressed(output)
        for value in result.items if isinstance(result, Items) else [result]:
            self.trace.add("output", call.spot, module, value)
        return result


def is_classifier(name: str) -> bool:
    """True for a function that builds a classifier of torchvision with one output. Inception's has two in training."""
    package, _, last = name.rpartition(".")
    if name == "timm.create_model":
        return True
    several = last.startswith(("inception", "googlenet", "get_"))
    return package == "torchvision.models" and last[:1].islower() and not several


def head_of(module: Module) -> Module | None:
    """Return the module that the file put in place of a classifier's last layers, or None."""
    for name in HEADS:
        value = known(module.attributes.get(name))
        if isinstance(value, Module):
            return value
        placed = [one for key, one in value.attributes.items() if key.startswith("[")] if isinstance(
            value, Unknown) else []
        if placed and isinstance(last := known(placed[-1]), Module):
            return last
    return None


def as_tensor(value: Value) -> Tensor | None:
    """Return the tensor that a network receives: a tensor, or the first one of a batch."""
    value = known(value)
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Items) and value.items and isinstance(known(value.items[0]), Tensor):
        return first_tensor(value)
    if isinstance(value, Dataset) and value.double:      # all images at once
        return Tensor(meaning=INPUT, origin=(value,), label=value.label, double=value.double)
    if isinstance(value, Unknown):
        return Tensor(meaning=INPUT, origin=value.origin, label=value.label, double=value.double)
    return None


def first_tensor(value: Value) -> Tensor | None:
    """Return a tensor, or the first tensor of a tuple."""
    value = known(value)
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Items):
        return next((item for item in map(known, value.items) if isinstance(item, Tensor)), None)
    return None


def is_loss_name(label: str) -> bool:
    """True for a name such as criterion or loss_fn."""
    words = words_of(label)
    return bool(set(words) & {"criterion", "loss", "lossfn", "objective", "crit", "lossfunction", "criteria",
                              "lossfunc"}) or any(word.startswith("criterion") for word in words)
