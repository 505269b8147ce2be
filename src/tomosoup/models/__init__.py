"""Nets, the file that holds them, their history; soups; the winners' weights."""
