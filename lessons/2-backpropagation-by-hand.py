# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["question"]
# # 2. Backpropagation by hand
#
# **Question: what does one update change in a network, number by number, and when is a learning rate too high?**
#
# The network has two inputs, two hidden neurons, two outputs and eight weights, and one example to learn. It is small
# enough for paper. [docs/backpropagation.md](../docs/backpropagation.md) derives every formula; here the numbers are
# computed.

# %% [markdown]
# **Budget.** None: this lesson takes no data and a second of computing, with any value of `FEATHERWEIGHT_LESSONS`.

# %%
# %matplotlib inline
from itertools import pairwise

from featherweight.byhand import RATES, Network, explain, rate_text, starting_values, train
from featherweight.plots import learning_rates

network = Network()
start = starting_values(network)
print("start:", start)

# %% [markdown]
# ## One update
#
# Forward from the inputs to the error, back from the error to the weights, then one step down. This is the whole of
# it, at rate 0.5:

# %%
rows = train(network, start, rate=0.5, updates=70)
print(explain(network, rows, rate=0.5, width=110))

# %%
now, after = rows[0], rows[1]
print("weight   before    gradient       after")
for weight in network.weights:
    gradient = now["∂E/∂" + weight]
    print(f"{weight:6} {now[weight]:8.4f} {gradient:11.6f} {after[weight]:11.6f}")
print(f"\nThe gradient of w5 is {now['∂E/∂w5'] / abs(now['∂E/∂w1']):.0f} times as large as that of w1.")

# %% [markdown]
# ## The experiment: six rates
#
# The same start, 70 updates, six learning rates.

# %%
errors = {rate: [row["E_total"] for row in train(network, start, rate, updates=70)] for rate in RATES}
named = {rate_text(rate): curve for rate, curve in errors.items()}
learning_rates(named, "Six learning rates", "the same start, 70 updates")

# %%
print("rate   error after 0, 1, 10 and 70 updates            updates until 0.01   rate x updates")
for rate in RATES:
    curve = [row["E_total"] for row in train(network, start, rate, updates=400)]
    needed = next(n for n, error in enumerate(curve) if error < 0.01)
    print(f"{rate:4}  ", "  ".join(f"{curve[n]:.6f}" for n in (0, 1, 10, 70)), f"{needed:15d} {rate * needed:18.0f}")

# %% [markdown]
# ## What it means
#
# Rate times updates is nearly the same in each row: from this start all six rates walk the same path downhill, and a
# small rate only takes smaller steps on it. Nothing speaks against the highest rate here, because none of the six is
# too high. The first layer hardly moves: its gradients are hundreds of times smaller than those of the last layer,
# since the way back to them is longer and the inputs are small.

# %% [markdown]
# ## The second experiment: a rate that is too high
#
# Larger inputs, targets in the middle and larger weights make a steeper start. docs/backpropagation.md says why: a
# step goes too far when the slope changes over its length.

# %%
steep = starting_values(network, inputs=(1, 1), targets=(0.5, 0.5), weights=(3, -3, 5, 4, -5, -1, 4, -5))
curves = {rate: [row["E_total"] for row in train(network, steep, rate, updates=70)] for rate in (2.0, 1.0, 0.5, 0.1)}
learning_rates({rate_text(rate): curve for rate, curve in curves.items()}, "A steeper start", "four rates, 70 updates")

# %%
thrown = [row["a_o1"] for row in train(network, steep, rate=2.0, updates=5)]
print("a_o1 at rate 2.0, update by update:", "  ".join(f"{value:.2f}" for value in thrown), "   target 0.50")
for rate, curve in curves.items():
    ups = sum(later > earlier for earlier, later in pairwise(curve))
    print(f"rate {rate}: error {curve[0]:.6f} -> {curve[1]:.6f} after one update; it rises in {ups} of 70 updates")

# %% [markdown]
# ## What it means
#
# At rate 2.0 each update throws the output across its target to the other side, and the first one makes the error
# three times as large as it was. Rate 0.5 is the fastest of the four here, not the highest. So there is no rate that
# is good in itself: how high it may be depends on how fast the slope changes where the weights are.

# %% [markdown] tags=["exercise"]
# ## Exercise
#
# From the document's start, at rate 1.0: what is `w8` after one update? All you need stands in the first table and in
# `now`. Give at least five decimals.

# %% tags=["answer"]
answer = 0.55

# %% tags=["check"]
def check(answer):
    """Return whether this is w8 after one update at rate 1.0, in words."""
    from featherweight.byhand import Network, starting_values, train

    before, after = train(Network(), starting_values(Network()), rate=1.0, updates=1)
    if abs(answer - after["w8"]) < 1e-5:
        return f"Right: {before['w8']:.2f} - 1.0 * ({before['∂E/∂w8']:.6f}) = {after['w8']:.6f}"
    if abs(answer - before["w8"]) < 1e-5:
        return "Not yet: this is w8 before the update."
    if abs(answer - (before["w8"] + before["∂E/∂w8"])) < 1e-5:
        return "Not yet: the step goes down the gradient, so rate times gradient is taken away."
    return "Not yet: new w8 = w8 - rate * ∂E/∂w8, and ∂E/∂w8 = ∂E/∂o2 * a_h2."


print(check(answer))
