"""One launch of the program: ranks, outcomes, library settings, energy."""
