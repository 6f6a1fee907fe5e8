"""What data sets are made of, read from elsewhere."""
