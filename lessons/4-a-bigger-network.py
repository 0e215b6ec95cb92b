# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["question"]
# # 4. A bigger network
#
# **Question: a network of six layers has 593,200 parameters. Where do they sit, and are they needed there?**
#
# Four convolutions with 32, 64, 128 and 256 channels, two pools, and two Linear layers, 4096 to 50 and 50 to 10. Its
# document counts 12,850 parameters in the first Linear layer.

# %% [markdown]
# **Budget.** By default both networks of this lesson train on the 1,437 small images of scikit-learn, for 6 epochs of
# batches of 64. With `FEATHERWEIGHT_LESSONS=full` they take MNIST's 60,000 images for 2 epochs of batches of 512, one
# seed each: about 3 minutes a network on one thread. The recipe's own 20 epochs would take half an hour. A finished
# run is reused.

# %%
# %matplotlib inline
import os
from pathlib import Path

import featherweight
from featherweight import Recipe
from featherweight.plots import SERIES, curves, new_figure, plain

FULL = os.environ.get("FEATHERWEIGHT_LESSONS") == "full"
SMALL = ["data.dataset=digits", "training.epochs=6", "training.batch_size=64"]
BUDGET = ["training.epochs=2"] if FULL else SMALL
PLACE = Path("runs/lessons") / ("full" if FULL else "small")
print("Budget:", "full, MNIST" if FULL else "small, the digits of scikit-learn")


def trained(name, recipe, *settings):
    """The finished run of this name: trained now, or found in runs/lessons."""
    out = PLACE / name
    return featherweight.train(Recipe.load(recipe, [*BUDGET, *settings]), out, resume=out.exists(), quiet=True)


# %% [markdown]
# ## The count
#
# A convolution has `k * k * channels in * channels out` weights, a Linear layer one for each pair of an input and an
# output; both have a bias for each output.

# %%
summary = featherweight.summarize(featherweight.build_model("session5"))
weighty = [layer for layer in summary.layers if layer.parameters]
for layer in weighty:
    print(f"{layer.label:10} {layer.parameters:9,}  {layer.parameters / summary.total_parameters:6.1%}")
print(f"{'in all':10} {summary.total_parameters:9,}")

# %%
fc1 = next(layer for layer in weighty if layer.kind == "Linear")
print(f"256 * 50 + 50 = {256 * 50 + 50:,}: the number in the document")
print(f"256 * 4 * 4 * 50 + 50 = {256 * 4 * 4 * 50 + 50:,}: what goes in is 256 channels of 4x4 places")
print(f"the layer has {fc1.parameters:,}")

# %% [markdown]
# The document's number is that of a layer that gets one value for each of the 256 channels. This network hands on all
# 16 places of each channel, so the layer is nearly sixteen times as large.

# %% [markdown]
# ## The experiment
#
# What if the layer had the size that the document gives it? `pooled.py` is the same network with one line changed:
# each channel is averaged over its 4x4 places, and `fc1` leads from 256 to 50.

# %%
runs = {
    "session5": trained("session5", "session5"),
    "session5 with an average": trained("session5-pooled", "session5", "model.name=pooled.py:Session5Pooled"),
}
for name, run in runs.items():
    parameters, score = run.result["parameters"], run.result["test"]["class"]
    print(f"{name:26} {parameters:8,} parameters   test {score['accuracy']:6.2%}   loss {score['loss']:.3f}")

# %% [markdown]
# ## The picture
#
# Where the parameters sit in the two networks, and how the two learn.

# %%
pooled = featherweight.summarize(featherweight.build_model("pooled.py:Session5Pooled"))
figure = new_figure(8, 2.6)
axes = plain(figure.subplots(), grid="x")
for row, one in enumerate((summary, pooled)):
    left = 0
    for index, layer in enumerate(layer for layer in one.layers if layer.parameters):
        axes.barh(row, layer.parameters, left=left, color=SERIES[index], label=layer.name if row == 0 else None)
        left += layer.parameters
axes.set_yticks([0, 1], list(runs))
axes.invert_yaxis()
axes.set_xlabel("parameters", fontsize=9)
axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
figure.legend(loc="outside upper center", ncols=6, fontsize=8, frameon=False)
figure

# %%
curves({name: run.history for name, run in runs.items()})

# %%
first, second = runs.values()
gap = 100 * (second.result["test"]["class"]["accuracy"] - first.result["test"]["class"]["accuracy"])
saved = 1 - second.result["parameters"] / first.result["parameters"]
print(f"The average saves {saved:.0%} of the parameters; after {first.result['epochs']} epochs its test accuracy is "
      f"{abs(gap):.2f} points {'higher' if gap > 0 else 'lower'} (one seed each).")

# %% [markdown]
# ## What it means
#
# A third of the network sits in one layer, and the convolution in front of it holds half. The document miscounts the
# layer by a factor of sixteen, and so misses where its parameters are; a printed table of layers would have shown it.
# Taking the large layer away is not free: the line printed above says what it costs within this budget. One seed and
# a short training say how the two networks begin, not where they end. Lesson 6 has a network with batch normalisation
# and an average at its end, and it reaches 99.61 % with 16,976 parameters in its full recipe.
#
# `featherweight doctor` names such a layer, with its share:
# [FW709](../docs/doctor.md#fw709-first-linear-layer-holds-most-parameters).

# %% [markdown] tags=["exercise"]
# ## Exercise
#
# How many parameters would `fc1` have in the unchanged network if the images had 32x32 pixels instead of 28x28? Each
# 3x3 convolution takes 2 from the side and each pool halves it: two convolutions, a pool, two convolutions, a pool.

# %% tags=["answer"]
answer = 204_850

# %% tags=["check"]
def check(answer):
    """Return whether this is the size of fc1 for 32x32 images, in words."""
    from torch import nn

    side = 32
    for step in ("conv", "conv", "pool", "conv", "conv", "pool"):
        side = side - 2 if step == "conv" else side // 2
    right = sum(p.numel() for p in nn.Linear(256 * side * side, 50).parameters())
    if answer == right:
        return f"Right: {side}x{side} places of 256 channels, so {256 * side * side:,} * 50 + 50 = {right:,}."
    if answer == right - 50:
        return "Not yet: nearly. A Linear layer also has a bias for each output."
    if answer == 204_850:
        return "Not yet: this is the layer for 28x28 images, which leave 4x4 places."
    return "Not yet: how many places are left of 32 x 32 behind the second pool?"


print(check(answer))
