"""The audit trail: what happened in each run, by the Elastic Common Schema's names, to be searched.

The journal is the record. A document is made of it, always the same one, and so can be made again.
"""
