"""Homes as earlier versions left them, one archive for each version of the database."""

from pathlib import Path

ARCHIVES = Path(__file__).parent
