"""From video files to what the network is shown, one folder for each step.

video       a video file -> frames
store       a prepared video on disk: frames and flow
prepare     video -> store, one or many
annotations what annotation tools write -> segments of long videos
splits      labelled videos, for training and for testing
loading     store -> chunks of both streams
formats     the layouts of other tools
"""
