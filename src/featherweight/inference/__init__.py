"""Use a trained network: from any picture to classes and probabilities."""

from __future__ import annotations

from featherweight.inference.predictor import Prediction, Predictor, predict

__all__ = ["Prediction", "Predictor", "predict"]
