"""The making of second stages: classifiers of the candidates that other models find."""
