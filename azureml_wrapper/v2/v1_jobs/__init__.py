"""Jobs of files of `az ml`, carried out with SDK v1."""
