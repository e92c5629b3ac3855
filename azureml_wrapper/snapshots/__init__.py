"""A script folder as it is sent: what belongs to it, how large it may be, and how it travels.

What runs in it does not belong here.
"""
