"""The pages of billing: consumer, provider, finance. Thin doors: parse, one service or selector, render."""
