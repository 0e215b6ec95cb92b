"""Budgets of a network: what it uses of its parameters, MACs, RAM and flash, and each single edit that fits."""

from __future__ import annotations

from featherweight.budgets.budget import Budget as Budget
from featherweight.budgets.budget import budget as budget
from featherweight.budgets.fitting import Limits as Limits
from featherweight.budgets.fitting import Offer as Offer
