"""Why a network gives a video a class.

>>> from stresnet.explanation import explain, save_explanation
>>> save_explanation(explain("model-folder", "clip.mp4"), "why")
"""

from stresnet.explanation.explain_video import explain
from stresnet.explanation.explanation import Explanation, Peak
from stresnet.explanation.page import save_explanation

__all__ = ["Explanation", "Peak", "explain", "save_explanation"]
