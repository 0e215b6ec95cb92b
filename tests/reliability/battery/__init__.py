"""Faults made on purpose: tests/reliability does a few of each, benchmarks/reliability.py as many as time allows."""
