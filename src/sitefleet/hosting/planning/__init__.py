"""What there is and what should run: plain values, which need neither process nor socket."""
