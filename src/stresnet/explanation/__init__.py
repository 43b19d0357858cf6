"""Why a network gives a video a class.

>>> from stresnet.explanation import explain, save_explanation
>>> save_explanation(explain("model-folder", "clip.mp4"), "why")
"""

from stresnet.explanation.explanation import Explanation, Peak, explain
from stresnet.explanation.page import save_explanation

__all__ = ["Explanation", "Peak", "explain", "save_explanation"]
