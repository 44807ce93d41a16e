"""PyTorch's side: the same networks and steps, as good PyTorch users write them."""
