"""What parent and worker say to each other, and the pipe that carries it; torch-free."""
