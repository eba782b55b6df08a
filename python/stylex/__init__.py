"""Asks a StylEx server why an image classifier decides as it does.

    import stylex

    with stylex.Client("localhost:50051") as client:
        why = client.explain("photo.jpg", model="leaves")
        print(why.sentence)
        why.counterfactual.save("otherwise.png")

In a notebook an explanation, a traversal and a reconstruction show themselves.
"""
from .answers import (Attribute, Encoding, Explanation, Frame, Model, Move, Prediction, Quality, Reconstruction,
                      Traversal)
from .client import Client
from .errors import (DeadlineExceeded, InvalidRequest, NotFound, NotPermitted, ServerError, StylexError, TooMuch,
                     Unavailable)
from .pictures import ImageLike

__all__ = ['Attribute', 'Client', 'DeadlineExceeded', 'Encoding', 'Explanation', 'Frame', 'ImageLike',
           'InvalidRequest', 'Model', 'Move', 'NotFound', 'NotPermitted', 'Prediction', 'Quality', 'Reconstruction',
           'ServerError', 'StylexError', 'TooMuch', 'Traversal', 'Unavailable']
