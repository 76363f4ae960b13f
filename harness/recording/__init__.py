"""What calls of attention a program makes: counted in its own processes, gathered into a scenario."""
