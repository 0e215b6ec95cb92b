"""Placement of a network's drawing: boxes, columns and lines, without matplotlib."""
