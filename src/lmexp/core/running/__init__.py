"""How a plan is computed: sessions, children and what a person sees of them."""
