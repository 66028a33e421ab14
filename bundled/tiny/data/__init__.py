"""Generates the text impetus-tiny learns from: nothing here comes from outside this folder."""
