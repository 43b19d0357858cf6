"""Improved dense trajectories (Wang and Schmid, ICCV 2013): the partner of ST-ResNet* in Table 4.

    video -- trajectories --> (n, 436) -- codebook --> (101376,) -- machines --> (K,) scores

    trajectories   motion: dense flow, with and without the camera's motion
                   histograms, tracking: points followed, described and chosen
    feature_file   trajectories on disk, ours or the authors' program's (layout: their columns)
    codebook       Fisher vectors: how often and how far descriptors differ from the usual
    extract        a whole data set's trajectories, resumable
    encoding       its vectors, resumable; linear support vector machines on them

OpenCV, scikit-learn and scikit-image are optional: `pip install 'stresnet[idt]'`.
"""
