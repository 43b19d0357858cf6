"""Improved dense trajectories (Wang and Schmid, ICCV 2013): the partner of ST-ResNet* in Table 4.

    video ─ extraction ─> (n, 436) ─ codebook ─> (101376,) ─ classifier ─> (K,) scores

    extraction     dense_flow, camera: the flow with and without the camera's motion
                   histograms, tracking, trajectories: points followed, described and chosen
    feature_file   trajectories on disk, ours or the authors' program's (layout: their columns)
    codebook       mixture, fisher: how often and how far descriptors differ from the usual
    classifier     linear support vector machines
    extract, encoding: a whole data set, resumable

OpenCV and scikit-learn are optional: `pip install 'stresnet[idt]'`.
"""
