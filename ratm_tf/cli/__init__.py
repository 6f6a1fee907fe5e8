"""What the programs of `experiments/` share: their flags, and what is done with them.

Modules here need no TensorFlow until they are told to do something.
"""
