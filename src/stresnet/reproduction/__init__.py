"""The paper's experiments on UCF101 and HMDB51, whole: `stresnet reproduce`.

run.py       prepare -> train every split -> evaluate; what that takes
tables.py    Tables 3 and 4, ours beside the paper's
"""

from stresnet.reproduction.run import Job, estimate_reproduction, reproduce

__all__ = ["Job", "estimate_reproduction", "reproduce"]
