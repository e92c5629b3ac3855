"""Pipeline configuration files: what makes a pipeline of their steps, and of the variables beside them."""
