"""Predict classes and probabilities for any picture with a trained network."""

from __future__ import annotations

from featherweight.inference.predictor import Prediction, Predictor, predict

__all__ = ["Prediction", "Predictor", "predict"]
