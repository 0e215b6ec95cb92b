"""Steps of a training in C: augmentation, optimizer and average of the weights, equal to torch up to rounding."""
