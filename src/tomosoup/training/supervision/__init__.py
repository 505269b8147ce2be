"""What a net is trained on: crops, targets, augmentation, losses."""
