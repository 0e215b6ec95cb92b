"""Networks given in Python: classes, functions and modules, with their source or the graph of what they compute."""

from __future__ import annotations

import copy
import functools
import importlib.util
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.errors import ModelError, UnknownName
from featherweight.models import CATALOGUE, blueprint_of
from featherweight.user_code import load_class, trust

NETS = """import torch.nn.functional as F
from torch import nn

WIDTH = 4
print("imported")


class Net(nn.Module):
    def __init__(self, width=WIDTH, act=F.relu):
        super().__init__()
        self.a, self.b, self.act = nn.Linear(784, width), nn.Linear(width, 10), act

    def forward(self, x):
        return self.b(self.act(self.a(x.flatten(1))))


class Needs(Net):
    def __init__(self, width):
        super().__init__(width)


def make(width=6):
    return Net(width)


class Holder:
    class Inner(Net):
        pass


ready = Net(5)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """A module of the user's that Python imported from a file."""
    file = tmp_path_factory.mktemp("given") / "nets_given.py"
    file.write_text(NETS)
    spec = importlib.util.spec_from_file_location("nets_given", file)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "nets_given", module)
        spec.loader.exec_module(module)
        yield module


IMAGES = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def kept(blueprint, folder, arguments=None, images=IMAGES):
    """The network built, and the one that its source in a run gives, with the same weights."""
    model = blueprint.build(arguments).eval()
    source = blueprint.source(model, (images[:2],))
    source.write(folder)
    trust.remember(source.sha256)
    again = load_class(folder / source.entry, source.attribute).builder(**(arguments or {})).eval()
    again.load_state_dict(model.state_dict())
    return model, again, source


def same(model, again, images=IMAGES):
    with torch.no_grad():
        return torch.allclose(model(images), again(images), atol=1e-6)


@pytest.mark.parametrize("name", ["Net", "make"])
def test_a_class_and_a_function_come_with_their_text(nets, name, tmp_path, capsys):
    blueprint = blueprint_of(getattr(nets, name))
    model, again, source = kept(blueprint, tmp_path)
    assert blueprint.name == name and source.attribute == name and "WIDTH = 4" in source.files["nets_given.py"]
    assert same(model, again) and type(model).__name__ == "Net" and capsys.readouterr().out == ""


def nets_init(self):
    """Another width than the file's."""
    nn.Module.__init__(self)
    self.a, self.b, self.act = nn.Linear(784, 3), nn.Linear(3, 10), F.relu


@pytest.mark.parametrize(("attribute", "value"), [
    ("forward", lambda self, x: -self.b(self.a(x.flatten(1)))), ("__init__", nets_init),
])  # fmt: skip
def test_a_class_that_was_changed_since_is_taken_as_it_is(nets, tmp_path, attribute, value, monkeypatch):
    """Its file says something else: the graph is kept."""
    monkeypatch.setattr(nets.Net, attribute, value)
    model, again, source = kept(blueprint_of(nets.Net), tmp_path)
    assert type(model) is nets.Net and source.entry == "graph.py" and same(model, again)


def test_arguments_go_to_the_class(nets, tmp_path):
    model, again, _ = kept(blueprint_of(nets.Needs), tmp_path, {"width": 9})
    assert model.a.out_features == again.a.out_features == 9 and same(model, again)
    with pytest.raises(ModelError, match="model 'Needs' needs 'width'"):
        blueprint_of(nets.Needs).build()


def test_a_partial_keeps_its_graph(nets, tmp_path):
    blueprint = blueprint_of(functools.partial(nets.Net, width=7))
    model, again, source = kept(blueprint, tmp_path)
    assert source.entry == "graph.py" and model.a.out_features == 7 and same(model, again)


def test_a_lambda_a_nested_class_and_one_of_a_function_keep_their_graph(nets, tmp_path):
    class Local(nets.Net):
        pass

    for number, model in enumerate((lambda: nets.Net(3), nets.Holder.Inner, Local)):
        built, again, source = kept(blueprint_of(model), tmp_path / str(number))
        assert source.entry == "graph.py" and same(built, again)


def test_a_module_is_copied_with_its_weights(nets, tmp_path):
    module = nets.Net()
    before = copy.deepcopy(module.state_dict())
    blueprint = blueprint_of(module)
    model, again, source = kept(blueprint, tmp_path)
    assert model is not module and source.attribute == "Net" and "class Net" in source.files["nets_given.py"]
    assert same(module, model) and same(model, again)
    with torch.no_grad():
        model.a.weight.zero_()
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("change", [
    lambda nets: nets.Net(6),
    lambda nets: nets.Net(act=F.gelu),                      # a function is no weight: seen by its answers
    lambda nets: nets.Net(act=lambda x: F.relu(x) * 2),
    lambda nets: types.SimpleNamespace(net=nets.Net()).net.requires_grad_(True).double().float().eval(),
    lambda nets: nets.Needs(5),
    lambda nets: nets.ready,
])  # fmt: skip
def test_a_module_built_with_arguments_is_kept_as_it_is(nets, tmp_path, change):
    module = change(nets)
    model, again, source = kept(blueprint_of(module), tmp_path)
    assert same(module, model) and same(model, again)
    plain = type(module).__name__ == "Net" and module.a.out_features == 4 and module.act is F.relu
    assert source.entry == ("nets_given.py" if plain else "graph.py")


def test_a_changed_layer_of_a_module_is_kept(nets, tmp_path):
    module = nets.Net()
    module.b = nn.Sequential(nn.Dropout(0.5), module.b).eval()
    model, again, source = kept(blueprint_of(module), tmp_path)
    assert source.entry == "graph.py" and same(module, model) and same(model, again)


def test_a_sequential_of_torchs_own(tmp_path):
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(2704, 10)).eval()
    model, again, source = kept(blueprint_of(module), tmp_path)
    assert source.entry == "graph.py" and same(module, model) and same(model, again)


def test_looking_at_a_module_draws_nothing(nets, capsys):
    module, before = nets.Net(), torch.get_rng_state()
    modes = [part.training for part in module.modules()]
    blueprint_of(module)
    assert torch.equal(before, torch.get_rng_state()) and modes == [part.training for part in module.modules()]
    assert capsys.readouterr().out == ""


def test_names_and_the_catalogues_functions():
    for name, builder in CATALOGUE.items():
        found = blueprint_of(builder)       # two names may have one builder
        assert blueprint_of(name).name == name and found.builder is CATALOGUE[found.name] is builder
        assert not found.is_own
    with pytest.raises(UnknownName, match="Did you mean 'session6'"):
        blueprint_of("sesion6")


@pytest.mark.parametrize("model", [3, None, torch.zeros(2), [nn.Linear(2, 2)]])
def test_what_is_no_network(model):
    with pytest.raises(ModelError, match=r"is no network\. Give a name, a class, a function or a torch\.nn\.Module"):
        blueprint_of(model)


def test_a_function_that_gives_no_module():
    with pytest.raises(ModelError, match=r"gave a int, not a torch\.nn\.Module"):
        blueprint_of(lambda: 3).build()


@pytest.fixture
def shell(monkeypatch):
    """A real IPython whose cells are the program, as in a notebook."""
    interactive = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    interactive.clear_instance()
    before = sys.displayhook, sys.excepthook
    made = interactive.instance(user_module=main)
    made.history_manager.enabled = False
    monkeypatch.setitem(sys.modules, "__main__", main)
    yield made
    sys.modules.pop("blocks", None)     # that a cell imports
    made.restore_sys_module_state()
    interactive.clear_instance()
    sys.displayhook, sys.excepthook = before


def test_a_class_of_a_notebook_comes_with_its_cells(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)       # as a notebook does
    (tmp_path / "blocks.py").write_text("width = 4\n")
    cells = ["import torch\nfrom torch import nn\n%config InlineBackend.figure_format = 'svg'", "width = 3",
             "open('written', 'w').close()", "raise RuntimeError('a cell that failed')",
             "def act(x):\n    return torch.relu(x)",
             "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        "
             "from blocks import width as more\n        self.a = nn.Linear(784, width * more)\n"
             "        self.b = nn.Linear(width * more, 10)\n"
             "    def forward(self, x):\n        return self.b(act(self.a(x.flatten(1))))",
             "width = width + 1", "class Other:\n    pass"]
    for cell in cells:
        shell.run_cell(cell, store_history=True, silent=False)
    (tmp_path / "written").unlink()
    net = shell.user_ns["Net"]
    assert net.__module__ == "__main__"
    model, again, source = kept(blueprint_of(net), tmp_path / "network")
    assert model.a.out_features == 16 and same(model, again) and sorted(source.files) == ["blocks.py", "notebook.py"]
    text = source.files["notebook.py"]
    assert "class Net" in text and "def act" in text and "Other" not in text and "written" not in text
    assert not (tmp_path / "written").exists()
    shell.run_cell("module = Net()", store_history=True)
    assert blueprint_of(shell.user_ns["module"]).user_class.attribute == "Net"
