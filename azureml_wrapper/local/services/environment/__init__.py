"""Registered environments and their versions. The executor builds them."""
