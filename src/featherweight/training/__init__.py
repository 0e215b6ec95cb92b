"""Training: the training loop, the optimisation step, and the state that a checkpoint stores."""
