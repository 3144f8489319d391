"""The pages, and what makes their generated parts."""
