"""Run history: runs, their events, and how to wait for their end. Clients name the experiment, jobs use its id."""
