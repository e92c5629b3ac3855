"""Experiments, a part of run history. Their runs are the history service's."""
