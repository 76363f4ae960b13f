"""Facts about the machine: its environment, processor, devices and roofline."""
