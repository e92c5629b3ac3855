"""SDK v2's YAML (`az ml`): read and carried out with SDK v1, checked, and written from configs.

Only `sdk` and `client` import azure-ai-ml; everything else works without it.
"""
