"""Rule on the trained network of a run: dead units on real images."""

from __future__ import annotations

import torch

from featherweight.doctor.finding import Report
from featherweight.doctor.options import Options
from featherweight.doctor.probe.layers import dead_units
from featherweight.doctor.probe.places import Places
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.probe.trail import path_of, words_for
from featherweight.errors import DataError
from featherweight.examination import data_of, normalised_by
from featherweight.forward import as_input
from featherweight.graph.passes import run as run_recorded
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import one_thread
from featherweight.networks import load_network
from featherweight.runs import Run
from featherweight.tasks import as_heads, build_task
from featherweight.user_code import quietly

IMAGES = 256        # test images; a unit that is 0 for all of them is dead


def dead_in(run: Run, name: str, options: Options) -> Report:
    """Find ReLU layers of a trained network in which nearly all units are 0 for all test images.

    name: of the network, in findings. Data that are not on this machine give a line in `unchecked`.
    Raises Untrusted for the network of somebody else that the user has not trusted.
    """
    network = load_network(run)
    try:
        dataset = data_of(run, options.data, options.data_dir)
    except DataError as fault:
        return Report((), unchecked=(f"{run.path}: dead units of the trained network: {fault}",), levels=())
    test = normalised_by(dataset.test.first(IMAGES), run.result["mean"], run.result["std"])
    inputs = [as_input(test.images, test.mean, test.std), *build_task(run.recipe.task).fixed_batch(test.labels).inputs]
    with torch.no_grad(), one_thread(), quietly():
        recorder = Recorder(network, keep=True, distinct=True)
        outputs = as_heads(run_recorded(recorder, inputs))
    subject = Subject(name, recorder.record, inputs, outputs, Places.of_name(name, network))
    found = tuple(
        subject.finding("FW906", path_of(call), f"{count} of {units} units of {words_for(call)} are dead.",
                        f"After the training they are 0 for each of {len(test)} test images: they cost time and "
                        "parameters, and do nothing.",
                        f"Take a layer of {max(units - count, 1)} units, or lower the learning rate.")
        for call, count, units in dead_units(subject))
    return Report(found, checked=(f"{run.path}: trained network on {len(test)} test images of {dataset.name}",),
                  levels=())
