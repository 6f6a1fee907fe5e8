"""The programs of `ratm-tf`: a docstring, flags and `main` each.

They define flags as they are imported, so a process imports one of them.
"""
