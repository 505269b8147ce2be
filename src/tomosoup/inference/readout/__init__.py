"""Maps -> picks."""
