"""The paper's experiments on UCF101 and HMDB51, whole: `stresnet reproduce`.

job.py       what to reproduce, and where its parts lie
run.py       prepare -> train every split -> evaluate; what that takes
tables.py    Tables 3 and 4, ours beside the paper's
"""

from stresnet.reproduction.job import Job
from stresnet.reproduction.run import estimate_reproduction, reproduce

__all__ = ["Job", "estimate_reproduction", "reproduce"]
