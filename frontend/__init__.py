"""What a user writes with: tensors, functions, layers, initializers, losses, metrics, optimizers."""
