"""Compiled training: C for the passes of one network, generated, compiled and called in place of torch."""
