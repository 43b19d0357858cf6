"""One OpenMP thread for all tests: its threads do not survive a fork, and their number decides the
last bits of a sum."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything imports torch
