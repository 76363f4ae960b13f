"""What is shown: records become tables, figures, one HTML file, exports."""
