"""Settings of the session."""
import os
import torch

SEED = 1
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
channels = list(range(4, 13, 4))
drop = float(os.environ.get("DROP", "0.05"))
torch.manual_seed(SEED)
