"""Which Azure ML answers, as whom, and how the local one is found and started.

What is done with a connected workspace does not belong here.
"""
