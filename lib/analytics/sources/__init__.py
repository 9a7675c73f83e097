"""Where documents come from. Every source yields `Batch`es; everything after is the same for all of them."""
