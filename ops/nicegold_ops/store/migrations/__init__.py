"""How a store becomes what this program needs: one file a step, in `versions`, each with its way back.

A new step is a new file there and a new `HEAD` in `schema.py`; the tests compare both with `tables.py`.
"""
