"""An evaluation's tables and page."""
