# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["question"]
# # 5. A budget
#
# **Question: how far does a network get with fewer than 8,000 parameters, and what do the notes of an experiment have
# to say so that the next one can be planned?**
#
# Three models follow each other. Each has a *target* before it is trained, a *result*, and an *analysis* that leads
# to the next.

# %% [markdown]
# **Budget.** By default each model trains on the 1,437 small images of scikit-learn, 10 epochs of batches of 32,
# three seeds. With `FEATHERWEIGHT_LESSONS=full` it takes MNIST and the recipes' own 15 epochs, three seeds: 2 to 4
# minutes a seed on one thread. The result is always the last epoch. A finished run is reused.

# %%
# %matplotlib inline
import os
from pathlib import Path

import featherweight
from featherweight import Recipe
from featherweight.plots import Point, curves, pareto
from featherweight.statistics import bootstrap_interval, paired_difference, summarize_values

FULL = os.environ.get("FEATHERWEIGHT_LESSONS") == "full"
BUDGET = [] if FULL else ["data.dataset=digits", "training.epochs=10", "training.batch_size=32"]
PLACE = Path("runs/lessons") / ("full" if FULL else "small")
MODELS = ("session7-model1", "session7-model2", "session7-model3")
SEEDS = (1, 2, 3)
print("Budget:", "full, MNIST" if FULL else "small, the digits of scikit-learn")


def trained(name, recipe, *settings):
    """The finished run of this name: trained now, or found in runs/lessons."""
    out = PLACE / name
    return featherweight.train(Recipe.load(recipe, [*BUDGET, *settings]), out, resume=out.exists(), quiet=True)


# %% [markdown]
# ## The experiment

# %%
runs = {}
for model in MODELS:
    held_out = ["data.validation=200"] if model == "session7-model3" and not FULL else []
    runs[model] = [trained(f"{model}-seed{seed}", model, f"training.seed={seed}", *held_out) for seed in SEEDS]


def accuracies(model):
    """Test accuracy of each seed, in percent."""
    return [100 * run.result["test"]["class"]["accuracy"] for run in runs[model]]


for model in MODELS:
    first, test = runs[model][0], summarize_values(accuracies(model))
    training = summarize_values([100 * run.result["train"]["accuracy"]["class"] for run in runs[model]])
    print(f"{model}\n  Target    {first.recipe.goal.target}")
    result = first.result
    print(f"  Results   {result['parameters']:,} parameters, {result['epochs']} epochs, {test.count} seeds: "
          f"training {training.mean:.2f} %, test {test.mean:.2f} % ({test.lowest:.2f} to {test.highest:.2f})")

# %% [markdown]
# ## The picture
#
# Parameters against test accuracy, with a bar for the 95 % interval of the mean over the seeds; then the first seed
# of each model, epoch by epoch.

# %%
points = []
for model in MODELS:
    values = [value / 100 for value in accuracies(model)]
    low, high = bootstrap_interval(values)
    parameters = runs[model][0].result["parameters"]
    points.append(Point(model.removeprefix("session7-"), parameters, summarize_values(values).mean, low, high))
pareto(points)

# %%
curves({model.removeprefix("session7-"): runs[model][0].history for model in MODELS})

# %%
for before, after in (MODELS[:2], MODELS[1:]):
    mean, (low, high) = paired_difference(accuracies(before), accuracies(after))
    verdict = "0 lies inside" if low <= 0 <= high else "0 lies outside"
    print(f"{after} - {before}: {mean:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}: {verdict}")

# %% [markdown]
# ## Analysis
#
# - **Model 1** gives fewer right answers in training than on test, which overfitting never does. Its Dropout stands
#   on the logits: one time in ten the right logit is set to 0 while it trains, and never when it is tested. The
#   training accuracy cannot pass about 90 %, even for a perfect network. What follows: no dropout behind the last
#   layer.
# - **Model 2** spends more parameters, and takes that Dropout away. Training and test accuracy now stand in the usual
#   order, with training ahead, so what the network lacks is no longer hidden. The rate falls every 6 epochs; the
#   curve shows the step.
# - **Model 3** is the network of model 2 with a schedule that waits for a plateau. To see a plateau it needs images
#   that are not trained on and not tested on, and they are missing from training. With a patience of 10, hardly an
#   epoch is left in which it could act: the right-hand panel shows whether its rate ever falls.
#
# ## What it means
#
# The printed differences are paired: the same seed with both models. Three seeds are few, and an interval that holds
# 0 says that this experiment does not tell the two apart. A fault such as the Dropout on the logits shows at once
# when the training accuracy is put beside the test accuracy, whichever network is better on test.

# %% [markdown] tags=["exercise"]
# ## Exercise
#
# No convolution of model 2 has a bias. How many parameters would it have if each of its convolutions had one? The
# command `featherweight summary session7-model2` lists the layers; a convolution has one bias for each of its output
# channels.

# %% tags=["answer"]
answer = 7_524

# %% tags=["check"]
def check(answer):
    """Return whether this is the size of model 2 with biases, in words."""
    from torch import nn

    import featherweight

    model = featherweight.build_model("session7-model2")
    size = sum(p.numel() for p in model.parameters())
    biases = sum(part.out_channels for part in model.modules() if isinstance(part, nn.Conv2d))
    if answer == size + biases:
        return f"Right: {biases} biases more, {biases / size:.1%} of the network."
    if answer == size:
        return "Not yet: this is the network as it is, without biases."
    return "Not yet: add up the output channels of all convolutions, the 1x1 and the 2x2 one too."


print(check(answer))
