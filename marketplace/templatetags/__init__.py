"""Template tags of the portal: components (ui), numbers and moments (formats), pictures (charts)."""
