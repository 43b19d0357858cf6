"""What this machine can do, and which videos it cannot use. `stresnet doctor` says it."""

from stresnet.doctor.environment import examine_environment
from stresnet.doctor.finding import Finding, State
from stresnet.doctor.videos import VideoCondition, VideoReport, examine_videos

__all__ = [
    "Finding",
    "State",
    "VideoCondition",
    "VideoReport",
    "examine_environment",
    "examine_videos",
]
