"""The layouts in which other tools keep frames and flow."""
