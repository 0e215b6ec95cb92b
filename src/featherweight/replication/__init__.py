"""Train one recipe with many seeds in parallel, and read the folder of the results."""

from featherweight.replication.folder import Replicas as Replicas
from featherweight.replication.job import SeedsWatcher as SeedsWatcher
from featherweight.replication.job import Standing as Standing
from featherweight.replication.seeds import train_seeds as train_seeds
