"""Files of others, as published: uPlot 1.6.32 (MIT), https://github.com/leeoniya/uPlot."""
