"""Worker processes of one thread each: a pool that takes jobs as they come, and a function for a fixed list of jobs."""

from featherweight.workers.jobs import Outcomes as Outcomes
from featherweight.workers.jobs import run_jobs as run_jobs
from featherweight.workers.pool import Event as Event
from featherweight.workers.pool import Pool as Pool
from featherweight.workers.pool import open_pool as open_pool
from featherweight.workers.process import ATTEMPTS as ATTEMPTS
from featherweight.workers.process import Tell as Tell
from featherweight.workers.process import Work as Work
from featherweight.workers.process import refuse_while_importing as refuse_while_importing
