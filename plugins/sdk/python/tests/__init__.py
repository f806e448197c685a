"""Tests of the SDK in plain Python: `python3 -m unittest discover --top-level-directory .` beside this folder."""
