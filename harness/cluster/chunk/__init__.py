"""The process that measures one chunk: guarded, telling where it is, its run directory packed."""
