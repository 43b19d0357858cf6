"""A prepared video on disk: its frames and its flow as JPEGs in one sealed ZIP file."""
