"""Side-by-side measurements; the test command never runs them."""
