"""Runs an entry script's `run(mini_batch)` over mini-batches, in many processes."""

from .worker import EntryScript

__all__ = ["EntryScript"]
