# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["question"]
# # 3. Receptive fields
#
# **Question: how many pixels does one unit of each layer see, and how can we know that the number is right?**
#
# For the first network of the course its document says 3, 5, 10, 12, 14, 28, 30, 32, 34, one number for each
# convolution and pool. Is that so?

# %% [markdown]
# **Budget.** No training: the weights play no part in this. The default shows a small digit of scikit-learn,
# `FEATHERWEIGHT_LESSONS=full` one of MNIST. A quarter of a minute on one thread.

# %%
# %matplotlib inline
import os

import featherweight
from featherweight.anatomy import gradient_support, verify

FULL = os.environ.get("FEATHERWEIGHT_LESSONS") == "full"
print("Budget:", "full, MNIST" if FULL else "small, the digits of scikit-learn")

model = featherweight.build_model("session1")
image = featherweight.load_dataset("mnist" if FULL else "digits").test.images[0]

# %% [markdown]
# ## The rule
#
# A unit of a layer with a `k x k` window sees `k` units of the layer before it. Neighbours there see pixels that lie
# one *jump* apart, so the field grows by `(k - 1) * jump`. A pool of stride 2 doubles the jump *behind* it, and grows
# by one jump itself.


# %%
def by_rule(layers):
    """(window, stride) of each layer -> the field after each layer."""
    field, jump, fields = 1, 1, []
    for window, stride in layers:
        field += (window - 1) * jump
        jump *= stride
        fields.append(field)
    return fields


CONV, POOL = (3, 1), (2, 2)
said = [3, 5, 10, 12, 14, 28, 30, 32, 34]
rule = by_rule([CONV, CONV, POOL, CONV, CONV, POOL, CONV, CONV, CONV])
print("the document:", said)
print("the rule:    ", rule)

# %% [markdown]
# ## The experiment: ask the gradient
#
# A rule can be remembered wrongly. The gradient cannot: a pixel that a unit sees has a gradient that is not zero, a
# pixel that it does not see has none. `verify` makes all weights positive, so that nothing cancels, takes the
# gradient of single units and compares the box of pixels with the rule's.

# %%
checks = [check for check in verify(model) if check.layer.kind in ("Conv2d", "MaxPool2d")]
print("layer          document   rule   by gradient")
for check, number in zip(checks, said, strict=True):
    mark = "" if number == check.layer.receptive_field else "   the document is wrong"
    print(f"{check.layer.label:14}{number:9}{check.layer.receptive_field:7}   {check.verdict}{mark}")

# %% [markdown]
# The document doubles the field at each pool, from 5 to 10 and from 14 to 28. A 2x2 pool joins two neighbours; it
# does not put two fields side by side, because neighbouring fields overlap. After that the document goes on in steps
# of 2, as if nothing had been pooled: there the steps are 4, and behind the second pool 8.

# %% [markdown]
# ## The picture
#
# What the unit in the middle of each layer sees of a digit.

# %%
featherweight.plot("receptive-field", model, image=image)

# %% [markdown]
# The same as numbers, for one unit behind the first pool. Its support is the set of pixels with a gradient.

# %%
layers = featherweight.summarize(model).layers
pool = next(number for number, layer in enumerate(layers) if layer.kind == "MaxPool2d")
support = gradient_support(model, pool)
rows, columns = support.any(dim=1).nonzero().flatten(), support.any(dim=0).nonzero().flatten()
print(f"{layers[pool].label}: rows {int(rows[0])} to {int(rows[-1])}, columns {int(columns[0])} to {int(columns[-1])}")
print(f"{int(support.sum())} pixels = {len(rows)} x {len(columns)}")

# %% [markdown]
# ## What it means
#
# The gradient agrees with the rule in every row. The document is wrong in five of its nine numbers, and where it is
# right behind the first pool, at 14 and 32, two errors cancel: it grows too much at a pool and too little after it.
# It matters when a network is designed. By the document's count the field is as wide as the image at the second pool,
# and the three convolutions behind it hardly add to it. In truth a unit of that pool sees 16 pixels, the next layer
# 24 and the one after it 32: only the eighth of the nine layers sees more than the 28 pixels there are.
#
# `featherweight doctor` compares such comments with the layers:
# [FW121](../docs/doctor.md#fw121-comment-states-a-wrong-receptive-field). A field smaller than the object is
# [FW706](../docs/doctor.md#fw706-receptive-field-smaller-than-the-object).

# %% [markdown] tags=["exercise"]
# ## Exercise
#
# A network: a 3x3 convolution, a 2x2 pool, a 3x3 convolution, a 2x2 pool, and a 3x3 convolution with *dilation 2*,
# whose window takes every second unit and so reaches over 5. Give the five receptive fields.

# %% tags=["answer"]
answer = [3, 6, 8, 16, 18]

# %% tags=["check"]
def check(answer):
    """Return whether these are the five fields, in words."""
    from torch import nn

    import featherweight

    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, dilation=2)
    )
    right = [layer.receptive_field for layer in featherweight.summarize(network).layers]
    if not isinstance(answer, list | tuple) or len(answer) != len(right):
        return f"Not yet: give {len(right)} numbers in a list."
    wrong = next((n for n, (a, b) in enumerate(zip(answer, right, strict=True)) if a != b), None)
    if wrong is None:
        return "Right. The dilated convolution adds 4 jumps of 4 pixels."
    return f"Not yet: the first number that is wrong is the one of layer {wrong + 1}."


print(check(answer))
