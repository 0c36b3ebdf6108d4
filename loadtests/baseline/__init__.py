"""kefu beside the design that most tutorials teach, under the same load, in one run."""
