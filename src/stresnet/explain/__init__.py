"""Why a network gives a video a class, and what it has learned of a class.

>>> from stresnet.explain import explain
>>> explain("model-folder", "clip.mp4").save("why")
"""

from stresnet.explain.activation_maximisation import ClassPicture, maximise
from stresnet.explain.explain_video import explain, explain_stored
from stresnet.explain.explanation import Explanation, Peak

__all__ = ["ClassPicture", "Explanation", "Peak", "explain", "explain_stored", "maximise"]
