"""What is measured: one folder per problem, one file per implementation."""
