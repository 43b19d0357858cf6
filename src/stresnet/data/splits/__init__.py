"""Labelled videos, and which of them are for training and which for testing."""
