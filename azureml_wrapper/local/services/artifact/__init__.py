"""Artifacts: files of runs and of uploads, by origin, container and path; and those of a run through run history."""
