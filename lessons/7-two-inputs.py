# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["question"]
# # 7. Two inputs
#
# **Question: a network gets the picture of a digit and a number, and is to say the digit and the sum. When the sum is
# wrong, is it the reading or the adding that failed?**
#
# The network has two parts. A small convolutional *reader* gives ten log-probabilities, 7,840 parameters. They are
# joined with the number as ten zeros and ones, and an *adder* of Linear layers makes 19 classes of it, the sums 0 to
# 18: 14,003 parameters.

# %% [markdown]
# **Budget.** By default this lesson trains on the 1,437 small images of scikit-learn, 20 epochs of batches of 32.
# With `FEATHERWEIGHT_LESSONS=full` it takes MNIST's 60,000 images and 8 epochs, one seed: 2 to 3 minutes on one
# thread. The recipe's own 25 epochs get further. A finished run is reused.

# %%
# %matplotlib inline
import os
from pathlib import Path

import torch

import featherweight
from featherweight import Recipe
from featherweight.plots import GOOD, new_figure, plain

FULL = os.environ.get("FEATHERWEIGHT_LESSONS") == "full"
SMALL = ["data.dataset=digits", "training.epochs=20", "training.batch_size=32"]
BUDGET = ["training.epochs=8"] if FULL else SMALL
PLACE = Path("runs/lessons") / ("full" if FULL else "small")
print("Budget:", "full, MNIST" if FULL else "small, the digits of scikit-learn")


def trained(name, recipe, *settings):
    """The finished run of this name: trained now, or found in runs/lessons."""
    out = PLACE / name
    return featherweight.train(Recipe.load(recipe, [*BUDGET, *settings]), out, resume=out.exists(), quiet=True)


# %% [markdown]
# ## The experiment
#
# In training each image meets a random number. On test each image is asked ten times, with every number from 0 to 9.

# %%
run = trained("digit-sum", "digit-sum")
for head in ("digit", "sum", "both"):
    score = run.result["test"][head]
    print(f"{head:6} {score['accuracy']:7.2%}   {score['correct']:,} of {score['count']:,} questions")

# %%
run.plot("curves")

# %% [markdown]
# ## Where the sum loses
#
# Every question is asked again, and the answers are counted in four groups: digit right or wrong, sum right or wrong.

# %%
examination = run.examine()
labels = examination.dataset.test.labels
pixels = examination.pixels()
with torch.no_grad():
    logs = torch.cat([examination.network.reader(part).flatten(1) for part in pixels.split(1000)]).log_softmax(dim=1)
    digit_right = logs.argmax(dim=1) == labels
    sums = []
    for number in range(10):
        one_hot = torch.nn.functional.one_hot(torch.full_like(labels, number), 10).float()
        sums.append(examination.network.adder(torch.cat([logs, one_hot], dim=1)).argmax(dim=1))
answered = torch.stack(sums, dim=1)                                         # (images, 10 numbers)
right = answered == labels[:, None] + torch.arange(10)
read = digit_right[:, None].expand_as(right)

wrong = int((~right).sum())
print(f"wrong sums: {wrong:,} of {right.numel():,}")
for words, group in (("digit read right, the adder failed:", read), ("digit read wrong as well:", ~read)):
    count = int((~right & group).sum())
    print(f"  {words:36} {count:6,}  {count / max(wrong, 1):6.1%}")
print(f"sum right although the digit was read wrong: {int((right & ~read).sum()):6,}")
share = float(right[digit_right].float().mean())
print(f"the adder is right in {share:.2%} of the questions whose digit was read right")

# %% [markdown]
# ## The picture
#
# The share of right sums for each digit and number, where the digit was read right; what is missing in a square is
# the adder's own doing. Beside it the same by the true sum.

# %%
table = torch.stack([right[digit_right & (labels == digit)].float().mean(dim=0) for digit in range(10)])
figure = new_figure(10, 3.8)
left, beside = figure.subplots(1, 2)
shown = left.imshow(100 * table, cmap="Blues", vmin=float(100 * table.min()), vmax=100)
left.set_xlabel("number", fontsize=9)
left.set_ylabel("digit", fontsize=9)
left.set_xticks(range(10))
left.set_yticks(range(10))
left.set_title("right sums (%)", loc="left", fontsize=10)
figure.colorbar(shown, ax=left)
totals = (labels[:, None] + torch.arange(10))[read]
by_sum = [100 * float(right[read][totals == total].float().mean()) for total in range(19)]
plain(beside)
beside.bar(range(19), by_sum, color=GOOD)
beside.set_ylim(min(by_sum) - 2, 100)
beside.set_xticks(range(19))
beside.set_xlabel("true sum", fontsize=9)
beside.set_title("right sums (%), from the lowest one up", loc="left", fontsize=10)
figure

# %%
run.plot("confusion", head="sum")

# %%
off = (answered - labels[:, None] - torch.arange(10))[read & ~right].abs()
worst = min(range(19), key=lambda total: by_sum[total])
print(f"worst sum: {worst}, {by_sum[worst]:.1f} % right where the digit was read right")
if len(off):
    print(f"of the adder's own mistakes {float((off == 1).float().mean()):.0%} are off by one")
blame = "the adder" if wrong and int((~right & read).sum()) > wrong / 2 else "the reader"
print(f"More than half of the wrong sums are the doing of {blame}." if wrong else "No sum is wrong.")

# %% [markdown]
# ## What it means
#
# The counts above divide the blame: a sum goes wrong because the digit was misread, or because the adder failed on a
# digit that was read right; the last line says where most of it lies for this budget. The adder is given all ten
# log-probabilities and not only the first choice, so now and then it is right where the reader's first choice is
# wrong. Addition is exact on paper, but the adder has to learn it from examples, a hundred cases of digit and number,
# and at a constant rate it still moves at the last epoch. The left picture shows whether its mistakes are spread
# evenly or sit in a few of the hundred cases.
#
# With more epochs both get better: after the recipe's 25 on MNIST, the digit stands at 99.35 % and the sum at 99.12 %
# (three seeds, last epoch).

# %% [markdown] tags=["exercise"]
# ## Exercise
#
# A lazy adder always answers the same sum. If it picks the best one, which share of the questions does it get right,
# when each image is asked with all ten numbers? Give a fraction between 0 and 1.

# %% tags=["answer"]
answer = 1 / 19

# %% tags=["check"]
def check(answer):
    """Return whether this is the share of a constant answer, in words."""
    pairs = [digit + number for digit in range(10) for number in range(10)]
    right = max(pairs.count(total) for total in range(19)) / len(pairs)
    if abs(answer - right) < 0.001:
        return "Right: whatever the digit is, exactly one of the ten numbers makes it 9."
    if abs(answer - 1 / 19) < 0.001:
        return "Not yet: the 19 sums are not equally frequent. There is one way to make 0, and there are ten to make 9."
    return "Not yet: for each digit, how many of the ten numbers give the chosen sum?"


print(check(answer))
