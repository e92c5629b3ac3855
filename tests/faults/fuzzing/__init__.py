"""Requests that no client should send, to every route of a service: `make fuzz N=1000000`.

`seeds` has well-formed requests of every route, most of them recorded from the real SDKs; `world` makes what they
name; `mutations` changes them; `connection` sends them; `rounds` judges the answers.
"""
