"""A script folder as it is uploaded: which files belong to it, how large it may be, and how it is sent.

What runs in it does not belong here.
"""
