# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["question"]
# # 1. The first network
#
# **Question: a network with 6,379,786 parameters gets 28 to 39 % of the digits right after an epoch of MNIST. Chance is
# 10 %, and far smaller networks pass 95 % in the same epoch. What holds this one back?**
#
# It is a plain stack of seven convolutions with two pools between them. After each convolution stands a ReLU, also
# after the last one, whose ten outputs are the logits. That last ReLU is the suspect.

# %% [markdown]
# **Budget.** By default this lesson trains on the 1,437 small images that come with scikit-learn, for 2 epochs of
# batches of 32. With `FEATHERWEIGHT_LESSONS=full` it takes the 60,000 images of MNIST, for 1 epoch of batches of 128:
# about 7 minutes for each of the two networks on one thread. A finished run is reused.

# %%
# %matplotlib inline
import os
from pathlib import Path

import torch

import featherweight
from featherweight import Recipe

FULL = os.environ.get("FEATHERWEIGHT_LESSONS") == "full"
BUDGET = [] if FULL else ["data.dataset=digits", "training.epochs=2", "training.batch_size=32"]
PLACE = Path("runs/lessons") / ("full" if FULL else "small")
print("Budget:", "full, MNIST" if FULL else "small, the digits of scikit-learn")


def trained(name, recipe, *settings):
    """The finished run of this name: trained now, or found in runs/lessons."""
    out = PLACE / name
    return featherweight.train(Recipe.load(recipe, [*BUDGET, *settings]), out, resume=out.exists(), quiet=True)


# %% [markdown]
# ## The experiment
#
# The same network twice, with the same seed, the same images in the same order, and the same rate. The only
# difference is the last ReLU.

# %%
runs = {
    "with the last ReLU": trained("session1", "session1"),
    "without it": trained("session1-no-final-relu", "session1", "model.arguments.final_relu=false"),
}
for name, run in runs.items():
    score = run.result["test"]["class"]
    print(f"{name:20} test {score['accuracy']:7.2%}   loss {score['loss']:.3f}")

# %% [markdown]
# ## The picture
#
# The confusion matrix has a row for each truth and a column for each answer. First with the ReLU, then without.

# %%
runs["with the last ReLU"].plot("confusion")

# %%
runs["without it"].plot("confusion")

# %% [markdown]
# What do the logits look like before the last ReLU? For each class, the share of test images whose logit is positive:
# only those get through the ReLU, and only through those does a gradient come back.


# %%
def logits_before_relu(run, images=500):
    """The last convolution's outputs for the first test images, (images, 10)."""
    examination, caught = run.examine(), []
    hook = examination.network.conv7.register_forward_hook(lambda _, __, output: caught.append(output.flatten(1)))
    with torch.no_grad():
        examination.network(examination.pixels(slice(images)))
    hook.remove()
    return caught[0]


logits = {name: logits_before_relu(run) for name, run in runs.items()}
positive = {name: (values > 0).float().mean(dim=0) for name, values in logits.items()}
print("share of images with a positive logit, by class")
print(f"{'':20}", "  ".join(f"{digit:5d}" for digit in range(10)))
for name, shares in positive.items():
    print(f"{name:20}", "  ".join(f"{share:5.0%}" for share in shares.tolist()))

# %%
matrix = torch.tensor(runs["with the last ReLU"].result["confusion"]["class"])
shut = [digit for digit in range(10) if positive["with the last ReLU"][digit] == 0]
never = [digit for digit in range(10) if matrix[:, digit].sum() == 0]
print("With the last ReLU:")
print("  classes whose logit is positive for none of these images:", shut or "none")
print("  classes that are never answered on the test data:        ", never or "none")
empty = (logits["with the last ReLU"] <= 0).all(dim=1).float().mean()
print(f"  images of these whose ten logits are all negative:         {empty:.0%}")

# %% [markdown]
# ## What it means
#
# A logit that is negative leaves the ReLU as 0, and the slope of the ReLU is 0 there: nothing that happens behind it
# reaches the weights in front of it. A class whose logit is negative for every image gets no gradient any more, so
# nothing can bring it back. The classes listed above are shut in this way. An image whose ten logits are all negative
# leaves the ReLU as ten zeros, a tie, and the answer to it says nothing about the picture; the column of that answer
# fills up in the first matrix. The network without the last ReLU differs in nothing else, so the gap between the two
# accuracies is that ReLU's doing. Logits are compared with each other; they need their negative half.
#
# Which classes are lost depends on the starting weights, so another seed gives another number than this one, and the
# document has 28 %. One run each is shown here: enough for a gap of this size, not enough for its exact value.
#
# `featherweight doctor session1` finds this ReLU without training:
# [FW101](../docs/doctor.md#fw101-activation-on-the-logits).

# %% [markdown] tags=["exercise"]
# ## Exercise
#
# The last convolution gives the logits 2, -1 and 0.5 for three classes, and the second class is right. A ReLU
# follows, then the softmax and the cross-entropy. What is the gradient of the loss for each of the three numbers *in
# front of* the ReLU? Give three numbers, rounded to two decimals. The gradient of the cross-entropy for a logit is
# its softmax, less 1 for the right class.

# %% tags=["answer"]
answer = [0.0, 0.0, 0.0]

# %% tags=["check"]
def check(answer):
    """Return whether the three gradients are right, in words."""
    import torch
    import torch.nn.functional as F

    logits = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True)
    F.cross_entropy(F.relu(logits), torch.tensor([1])).backward()
    right = logits.grad[0].tolist()
    if not isinstance(answer, list | tuple) or len(answer) != 3:
        return "Not yet: give three numbers in a list."
    if all(abs(a - b) < 0.006 for a, b in zip(answer, right, strict=True)):
        return "Right. The class that should rise gets exactly nothing, because its logit is negative."
    if abs(answer[1]) > 0.006:
        return "Not yet: the second number has to come back through a ReLU whose input is negative."
    return "Not yet: the softmax sees 2, 0 and 0.5, because the ReLU has made -1 a 0."


print(check(answer))
