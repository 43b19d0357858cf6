"""What this machine can do, and which videos it cannot use. `stresnet doctor` says it."""

from stresnet.diagnosis.environment import examine_environment
from stresnet.diagnosis.finding import Finding, State
from stresnet.diagnosis.videos import VideoCondition, VideoReport, examine_videos

__all__ = [
    "Finding",
    "State",
    "VideoCondition",
    "VideoReport",
    "examine_environment",
    "examine_videos",
]
