"""What people mark in long recordings: files of annotation tools <-> labelled segments."""
