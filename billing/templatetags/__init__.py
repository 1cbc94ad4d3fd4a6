"""Template tags of billing: amounts, periods and prices as people read them."""
