"""Extraction of answers from generated texts.

`rules` holds every rule as a row of a table with its source; `answers` and `options` apply them.
"""
