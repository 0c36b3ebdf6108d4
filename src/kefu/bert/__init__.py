"""The optional BERT path: fine-tune with PyTorch, export to ONNX, answer without PyTorch."""
