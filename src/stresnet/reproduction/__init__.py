"""The paper's experiments on UCF101 and HMDB51, whole: `stresnet reproduce`.

job.py       what shall be reproduced, and where its parts lie
run.py       prepare -> train every split -> evaluate, each step done once
steps.py     which steps are done
forecast.py  what it takes
tables.py    Tables 3 and 4, ours beside the paper's
"""

from stresnet.reproduction.estimate import forecast
from stresnet.reproduction.job import Job
from stresnet.reproduction.run import reproduce

__all__ = ["Job", "forecast", "reproduce"]
