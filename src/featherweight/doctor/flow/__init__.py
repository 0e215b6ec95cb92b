"""Data flow within a file: names, layers, losses, loaders and the order of a training's steps.

`follow` executes nothing. It walks over the syntax tree and keeps an abstract value for each name.
"""
