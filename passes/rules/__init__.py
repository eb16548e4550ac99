"""Named equations, nothing else: both sides in the language, with a guard where one is needed."""
