"""Readers of image data in files that people have: one module for each family of formats."""
