"""The process that holds torch, the implementations and one device, answering the parent's requests."""
