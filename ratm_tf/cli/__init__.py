"""The command `ratm-tf`: its programs, and what they share, which is flags mostly.

Modules here need no TensorFlow until they are told to do something.
"""
