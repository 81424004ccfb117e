"""The mirror of the records at wandb."""
