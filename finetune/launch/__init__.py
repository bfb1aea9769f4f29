"""One launch of the program: its processes, how they end, their libraries, their energy."""
