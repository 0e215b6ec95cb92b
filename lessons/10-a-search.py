# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["question"]
# # 10. A search
#
# **Question: how good is the best network under a budget, and how much of its accuracy is luck?**
#
# Lesson 5 improved three networks by hand. Here a program tries networks, and every one of them fits the budget before
# it is trained. The best of many is chosen by its accuracy, so that accuracy is too high. The search therefore
# measures the chosen networks again, on images and with seeds that chose nothing.

# %% [markdown]
# **Budget.** By default the search tries 12 networks of at most 1,000 parameters on the small images of scikit-learn,
# at most 4 epochs each. With `FEATHERWEIGHT_LESSONS=full` it searches on MNIST for one hour, at most 15 epochs each. A
# finished search is reused.

# %%
# %matplotlib inline
import json
import os
import subprocess
import sys
from pathlib import Path

from featherweight.plots import Point, pareto
from featherweight.statistics import summarize_values

FULL = os.environ.get("FEATHERWEIGHT_LESSONS") == "full"
PLACE = Path("runs/lessons") / ("full" if FULL else "small") / "search"
EFFORT = ["--data", "mnist", "--hours", "1"] if FULL else ["--data", "digits", "--trials", "12", "--max-epochs", "4"]
COMMAND = ["featherweight", "search", *EFFORT, "--max-parameters", "1000", "--seeds", "3", "--out", str(PLACE)]
print(" ".join(COMMAND))

# %% [markdown]
# ## The experiment
#
# Parameters, multiply-accumulates, RAM and flash are known before training, so a network over the budget is never
# trained. A network that looks worse than others after a part of its training is stopped.

# %%
if not (PLACE / "front.html").exists():
    resume = ["--resume"] if PLACE.exists() else []
    subprocess.run([sys.executable, "-m", *COMMAND, *resume, "--quiet"], check=True, capture_output=True)
front = json.loads((PLACE / "front.json").read_text())
tried = {one["number"]: one for one in front["tried"]}
states = [one["state"] for one in front["tried"]]
print(f"{len(states)} networks tried: {states.count('done')} trained to the end, {states.count('stopped')} stopped")
assert all(one["costs"]["parameters"] <= 1000 for one in front["tried"])

# %% [markdown]
# ## The picture
#
# First what the search saw: every tried network, by its accuracy on validation images. Then what it left: the networks
# of the front, by their accuracy on test images, with a bar from the lowest to the highest seed.

# %%
seen = [one for one in front["tried"] if one["accuracy"] is not None]
pareto([Point("", one["costs"]["parameters"], *[one["accuracy"]] * 3) for one in seen])

# %%
points = []
for number, one in enumerate(front["points"], start=1):
    test = summarize_values(one["test"])
    points.append(Point(f"network {number}", one["costs"]["parameters"], test.mean, test.lowest, test.highest))
pareto(points)

# %%
for number, one in enumerate(front["points"], start=1):
    trial, chosen, test = tried[one["number"]], summarize_values(one["validation"]), summarize_values(one["test"])
    print(f"network {number}: {one['candidate']['words'].removeprefix('words:')}")
    print(f"  {one['costs']['parameters']:,} parameters, RAM {one['costs']['ram']:,} bytes, flash "
          f"{one['costs']['flash']:,} bytes")
    if trial["state"] == "done":
        print(f"  validation, in its trial: {100 * trial['accuracy']:.2f} %")
    print(f"  validation, with seeds of no trial: {100 * chosen.mean:.2f} %")
    print(f"  test, trained on all images, {test.count} seeds: {100 * test.mean:.2f} % ({100 * test.lowest:.2f} to "
          f"{100 * test.highest:.2f})")

# %% [markdown]
# Each network of the front has a folder: a readable `network.py`, a `recipe.toml`, the accuracy of each seed, and C
# code with its proof. `front.html` shows them all on one page.

# %%
text = (PLACE / "1" / "network.py").read_text()
print(text[text.index("class Net") :])

# %% [markdown]
# ## What it means
#
# - **The front is a list of choices.** A network that is larger and not more accurate is not on it. Which point is the
#   right one depends on the device.
# - **Validation chooses, test reports.** The search never looks at test images while it chooses. They are used once,
#   when the networks of the front are fixed. Only such a number is honest.
# - **The winner of many was also lucky.** Of many networks that are equally good, the chosen one has the luckiest
#   measurement. The exercise computes how much that is.
# - **Further seeds remove that luck.** The networks of the front are trained again with seeds that the trials did not
#   use. Networks that are surely worse are dropped.

# %% [markdown] tags=["exercise"]
# ## Exercise
#
# A search tries 100 networks that are all equally good: the true accuracy of each is 99.40 %. Their measured accuracies
# scatter around it with a standard deviation of 0.11 points, which is what counting 5,000 validation images gives. By
# how many points is the measured accuracy of the best one too high, on average? Simulate it with random numbers.

# %% tags=["answer"]
answer = 0.11

# %% tags=["check"]
def check(answer):
    """Return whether this is the luck of the best of 100, in words."""
    import random

    chance = random.Random(0)
    luck = sum(max(chance.gauss(0, 0.11) for _ in range(100)) for _ in range(2_000)) / 2_000
    if abs(answer - luck) < 0.02:
        return f"Right: {luck:.2f} points, as much as many a good idea is worth, and nothing was improved."
    if abs(answer - 0.11) < 0.001:
        return "Not yet: this is the scatter of one measurement. The best of 100 is chosen."
    return "Not yet: draw 100 numbers with a standard deviation of 0.11, take the largest, and average over many draws."


print(check(answer))
