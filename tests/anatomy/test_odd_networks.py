"""Networks in unusual manners: each is looked at in every way, or refused in one line; fields equal the gradient."""

import threading
from contextlib import suppress

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.anatomy import (
    autograd_graph,
    checks_text,
    data_flow,
    first_kernels,
    gradient_support,
    middle_fields,
    summarize,
    verify,
)
from featherweight.errors import ModelError


class Net(nn.Module):
    """The layers it is given; forward is a function of it and the image."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.way = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.way(self, x)


def conv(inputs=1, outputs=4, kernel=3, **settings):
    return nn.Conv2d(inputs, outputs, kernel, **settings)


def fields(module, shapes=(1, 28, 28)):
    return [(layer.label, layer.receptive_field) for layer in summarize(module, shapes).layers]


def verdicts(module, shapes=(1, 28, 28)):
    return [check.verdict for check in verify(module, shapes)]


def look_in_every_way(module):
    """Raises nothing but ModelError."""
    for look in (summarize, verify, data_flow, autograd_graph, middle_fields, first_kernels):
        with suppress(ModelError):
            look(module)


# --- rows of the image in place of channels


def test_rows_as_channels_are_mixed():
    module = Net(lambda m, x: m.b(F.relu(m.a(x.squeeze(1))).flatten(1)), a=nn.Conv1d(28, 8, 3), b=nn.Linear(208, 10))
    assert fields(module) == [("Conv1d-1", [28, 3]), ("relu", [28, 3]), ("Linear-2", 28)]
    assert verdicts(module) == ["equal"] * 3
    assert len(middle_fields(module)) == 3


def test_columns_as_channels():
    module = Net(lambda m, x: m.a(x.squeeze(1).transpose(1, 2)).mean(2), a=nn.Conv1d(28, 8, 3))
    assert fields(module) == [("Conv1d-1", [3, 28]), ("mean", 28)]
    assert verdicts(module) == ["equal"] * 2


def test_rows_in_groups_have_no_common_field():
    module = Net(lambda m, x: m.a(x.squeeze(1)), a=nn.Conv1d(28, 28, 3, groups=28))
    assert fields(module) == [("Conv1d-1", None)]


# --- gradients switched off in forward


def without_gradient(m, x):
    with torch.no_grad():
        y = m.a(x)
    return m.b(y)


def in_inference_mode(m, x):
    with torch.inference_mode():
        y = m.a(x)
    return m.b(y.clone())


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x * 2

    @staticmethod
    def backward(context, gradient):
        return gradient * 2


@pytest.mark.parametrize("forward", [
    without_gradient, in_inference_mode, torch.no_grad()(lambda m, x: m.b(m.a(x))),
    lambda m, x: m.b(m.a(x).detach()), lambda m, x: m.b(m.a(x).data).detach(),
    lambda m, x: m.b(Doubled.apply(m.a(x))), lambda m, x: m.b(m.a(x) if x.requires_grad else m.a(x) + 0),
])
def test_the_gradient_sees_through_what_switches_gradients_off(forward):
    module = Net(forward, a=conv(), b=conv(4, 4))
    assert fields(module)[-1] == ("Conv2d-2", 5)
    assert set(verdicts(module)) == {"equal"}
    assert data_flow(module).nodes[-1].kind == "output"


# --- another way for other images


def test_a_branch_on_data_gets_a_note_and_no_verdict():
    module = Net(lambda m, x: m.c(m.a(x) if x.sum() > 0 else m.b(m.a(x))),
                 a=conv(1, 4, 3, padding=1), b=conv(4, 4, 5, padding=2), c=conv(4, 4))
    checks = verify(module)
    assert [(check.layer.label, check.verdict) for check in checks] == [
        ("sum", "not applicable"), ("Conv2d-1", "equal"), ("Conv2d-2", "not applicable"),
        ("Conv2d-3", "not applicable"),
    ]
    assert {check.note for check in checks[2:]} == {"forward takes another way for other images"}
    assert checks[3].to_dict()["note"] == "forward takes another way for other images"
    lines = checks_text(checks).splitlines()
    assert "Not compared from Conv2d-2 on: forward takes another way for other images." in lines
    assert [seen.layer.label for seen in middle_fields(module)] == ["Conv2d-1"]


def test_a_branch_whose_rows_have_the_same_names_is_seen_by_their_fields():
    def forward(m, x):
        wide = bool(x.sum() > 0)
        return F.conv2d(x, torch.ones(1, 1, 5, 5) if wide else torch.ones(1, 1, 3, 3), padding=2 if wide else 1)

    _, check = verify(Net(forward))
    assert (check.layer.receptive_field, check.verdict) == (3, "not applicable")
    assert check.note == "forward takes another way for other images"


def test_a_gradient_that_cannot_be_followed_gets_a_note():
    checks = verify(Net(lambda m, x: m.b(only_single(m.a(x))), a=conv(), b=conv(4, 4)))
    assert [check.verdict for check in checks] == ["equal", "not applicable"]
    assert checks[1].note == "the gradient could not be followed: AssertionError: only float32"


def only_single(x):
    assert x.dtype == torch.float32, "only float32"
    return x


def test_tensors_made_in_forward_take_the_type_of_the_pass():
    module = Net(lambda m, x: (m.a(x) + torch.zeros(4, 26, 26)).flatten(1) @ torch.ones(2704, 10), a=conv())
    assert set(verdicts(module)) == {"equal"}


def test_the_default_type_is_left_alone():
    verify(Net(lambda m, x: m.a(x), a=conv()))
    assert torch.get_default_dtype() is torch.float32


# --- what has the shape of a tensor only


def test_noise_and_zeros_depend_on_no_pixel():
    module = Net(lambda m, x: m.a(x + torch.randn_like(x) * 0) + m.w.to(x) + torch.zeros_like(x)[..., 1:-1, 1:-1],
                 a=conv(1, 1), w=nn.Parameter(torch.ones(26, 26)))
    assert fields(module) == [("add", 1), ("Conv2d-1", 3), ("add", 3), ("add", 3)]
    assert set(verdicts(module)) == {"equal"}
    assert summarize(module).unused == ()


MASKS = {
    "binarised": lambda m, x: m.a((x > 0.5).float()),
    "cast": lambda m, x: m.a((x * 255).int().to(x.dtype)),
    "times": lambda m, x: m.a(x) * (x > 0)[..., 1:-1, 1:-1],
    "chosen": lambda m, x: torch.where(m.a(x) > 0, m.a(x), torch.zeros(())),
    "filled": lambda m, x: m.a(x).masked_fill(~(m.a(x) > 0), 0.0),
    "joined": lambda m, x: m.a(((x > 0.2) & (x < 0.7)).to(x.dtype)),
    "asked": lambda m, x: m.a(x) if not (x < 0).any() and bool((x >= 0).all()) else x,
    "moved": lambda m, x: m.a((x > 0.5).transpose(2, 3).float()),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_and_whole_numbers_depend_on_their_pixels(kind):
    module = Net(MASKS[kind], a=conv())
    assert fields(module)[-1][1] == 3
    assert set(verdicts(module)) == {"equal"}
    assert summarize(module).unused == ()


# --- compiled, scripted, normalised the old way, with what cannot be copied


def test_compiled_layers_are_looked_at_as_they_were_written():
    inner = nn.Sequential(conv(4, 4), nn.ReLU())
    module = nn.Sequential(torch.compile(conv(), backend="eager"), torch.compile(inner, backend="eager"))
    assert [(layer.name, layer.label) for layer in summarize(module).layers] == [
        ("0", "Conv2d-1"), ("1.0", "Conv2d-2"), ("1.1", "ReLU-3"),
    ]
    assert verdicts(module) == ["equal"] * 3
    assert hasattr(module[0], "_orig_mod")
    look_in_every_way(module)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("script", [torch.jit.script, lambda part: torch.jit.trace(part, torch.zeros(2, 4, 26, 26))])
def test_a_scripted_layer_is_one_row_without_a_field(script):
    plain = nn.Sequential(conv(), nn.Sequential(conv(4, 4), nn.ReLU()), nn.Flatten(), nn.Linear(2304, 10))
    module = nn.Sequential(plain[0], script(plain[1]), *plain[2:])
    summary, expected = summarize(module), summarize(plain)
    assert [(layer.label, layer.parameters) for layer in summary.layers] == [
        ("Conv2d-1", 40), ("Sequential-2", 148), ("Flatten-3", 0), ("Linear-4", 23050),
    ]
    assert (summary.total_macs, summary.trainable_parameters) == (expected.total_macs, expected.trainable_parameters)
    assert verdicts(module) == ["equal", *["not applicable"] * 3]
    look_in_every_way(module)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_network_scripted_as_a_whole_is_refused_in_one_line():
    module = torch.jit.script(nn.Sequential(conv(), nn.ReLU()))
    for look in (summarize, verify, data_flow, autograd_graph, middle_fields):
        with pytest.raises(ModelError, match=r"^Sequential is scripted, so its layers cannot be watched\. Give the mo"):
            look(module)
    assert first_kernels(module).shape == (4, 1, 3, 3)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weights_normalised_the_old_way():
    module = nn.Sequential(torch.nn.utils.weight_norm(conv()), torch.nn.utils.spectral_norm(conv(4, 4)))
    module(torch.zeros(1, 1, 28, 28))
    assert [layer.parameters for layer in summarize(module).layers] == [44, 148]
    assert verdicts(module) == ["equal"] * 2
    parameters = {node.title for node in autograd_graph(module).nodes if node.kind == "parameter"}
    assert parameters == {"0.bias", "0.weight_g", "0.weight_v", "1.bias", "1.weight_orig"}


def test_what_cannot_be_copied_is_left_out():
    module = Net(keeps, a=conv())
    module(torch.zeros(1, 1, 28, 28))
    module.lock, module.numbers = threading.Lock(), (n for n in range(3))
    kept = module.last
    assert fields(module) == [("Conv2d-1", 3)]
    assert verdicts(module) == ["equal"]
    assert module.last is kept and kept.requires_grad


def keeps(m, x):
    m.last = m.a(x)
    return m.last


def test_lazy_layers_that_are_never_called():
    module = Net(lambda m, x: m.a(x), a=nn.LazyConv2d(4, 3), b=nn.LazyLinear(3))
    assert fields(module) == [("Conv2d-1", 3)]
    assert [one.name for one in summarize(module).unused] == ["b"]
    look_in_every_way(module)


# --- outputs and values of all kinds


ODD = {
    "complex": lambda m, x: torch.view_as_real(torch.complex(m.a(x), m.a(x))).sum(-1),
    "spectrum": lambda m, x: m.a(torch.fft.fft2(x).abs()),
    "dict": lambda m, x: {"a": m.a(x), "b": [m.a(x), None, 3]},
    "none": lambda m, x: None,
    "constant": lambda m, x: torch.ones(3),
    "scalar": lambda m, x: m.a(x).mean(),
    "empty": lambda m, x: m.a(x)[:, :0],
    "no image": lambda m, x: m.a(x)[:0],
    "argmax": lambda m, x: m.a(x).argmax(1),
    "squeezed": lambda m, x: m.a(x).mean((2, 3)).squeeze(),
    "twice": lambda m, x: m.a(m.a(x).mean(1, keepdim=True)),
    "einsum": lambda m, x: torch.einsum("nchw,cd->ndhw", m.a(x), torch.ones(4, 2)),
    "list of modules": lambda m, x: sum(part(x) for part in [m.a, m.a]),
    "recurrent": lambda m, x: m.r(x.squeeze(1))[0][:, -1],
    "attention": lambda m, x: m.t(*[x.squeeze(1)] * 3)[0].mean(1),
    "indices": lambda m, x: m.a(x)[:, torch.tensor([True, False, True, False])],
    "mask": lambda m, x: m.a(x)[m.a(x) > 0],
    "numpy": lambda m, x: m.a(torch.from_numpy(x.detach().numpy())),
    "moved batch": lambda m, x: m.a(x).transpose(0, 1),
    "unpooled": lambda m, x: F.max_unpool2d(*F.max_pool2d(m.a(x), 2, return_indices=True), 2),
    "recomputed": lambda m, x: torch.utils.checkpoint.checkpoint(m.a, x, use_reentrant=False),
    "itself": lambda m, x: m.way(m, x),
}


@pytest.mark.parametrize("kind", ODD)
def test_no_traceback(kind):
    attention = nn.MultiheadAttention(28, 4, batch_first=True)
    module = Net(ODD[kind], a=conv(), r=nn.GRU(28, 8, batch_first=True), t=attention)
    look_in_every_way(module)
    if kind != "itself":
        assert "different" not in verdicts(module)


def test_a_weight_that_only_meets_a_mask_is_used():
    module = Net(lambda m, x: (x > 0.5).float() * m.w, w=nn.Parameter(torch.ones(1)))
    assert fields(module) == [("mul", 1)]
    assert summarize(module).unused == ()


def test_complex_layers_have_fields():
    module = Net(lambda m, x: m.a(x.to(torch.complex64)).abs(), a=nn.Conv2d(1, 2, 3, dtype=torch.complex64))
    assert fields(module) == [("Conv2d-1", 3), ("abs", 3)]


def test_a_network_without_values():
    with torch.device("meta"):
        module = nn.Sequential(conv(), nn.ReLU())
    assert fields(module) == [("Conv2d-1", 3), ("ReLU-2", 3)]
    assert verdicts(module) == ["equal"] * 2
    assert first_kernels(module) is None


def test_a_row_without_images_has_no_support():
    with pytest.raises(ModelError, match="no receptive field"):
        gradient_support(Net(lambda m, x: m.a(x).mean(), a=conv()), 1)
