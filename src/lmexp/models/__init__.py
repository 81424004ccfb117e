"""Language models: what they are to their users, and the families of them."""
