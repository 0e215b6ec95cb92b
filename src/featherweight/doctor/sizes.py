"""Limits by which the levels "read" and "probe" judge a network for small images."""

from __future__ import annotations

LARGEST = 64            # pixels; larger images are reduced at the start on purpose
OBJECT = 20 / 28        # part of the image's side that the object fills; a digit of 28x28 is 20 pixels high
EDGES = 5               # pixels that the units before a first reduction must see
STEEP = 4               # the image's side divided by this before a second convolution is an early reduction
MOST = 0.5              # share of the parameters in one layer
SAVED = 1000            # smallest number of parameters that global pooling must save
