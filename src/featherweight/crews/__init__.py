"""Workers that run the tasks of a search or of a training with many seeds, on this machine or on a Ray cluster."""

from featherweight.crews.crew import Crew as Crew
from featherweight.crews.crew import Outcome as Outcome
from featherweight.crews.crew import Task as Task
from featherweight.crews.opening import open_crew as open_crew
