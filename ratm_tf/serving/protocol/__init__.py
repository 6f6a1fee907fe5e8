"""What clients and server share: TensorFlow Serving's messages and JSON."""
