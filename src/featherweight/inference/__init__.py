"""Using a trained network: any picture in, classes and probabilities out."""

from __future__ import annotations

from featherweight.inference.predictor import Prediction, Predictor, predict

__all__ = ["Prediction", "Predictor", "predict"]
