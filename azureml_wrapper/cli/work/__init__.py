"""What the commands of `aml` do: for each file of commands, the file of the same name here.

Several share `output` (tables and JSON) and `watching` (a run until it ends). `json_schemas` generates the schemas
that `aml schema` prints. What programs can use without the command line belongs in the other rooms.
"""
